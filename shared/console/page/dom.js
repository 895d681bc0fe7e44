// Elements from plain data. Text is inserted as text: no code of the page parses HTML.

// h creates an element. Properties that begin with "on" are listeners, the others attributes; null,
// undefined and false ones are left out, and so are such children.
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter(
    (child) => child !== null && child !== undefined && child !== false,
  ));
  return element;
}

// byId returns the element with the id, or null.
export const byId = (id) => document.getElementById(id);

// focusOn moves the focus to the element with the id, or to the page's content if it is gone.
export const focusOn = (id) => ((id && byId(id)) || byId("main")).focus();

// webAddress returns the address if it is a web address, else null. Addresses come from platforms.
export function webAddress(address) {
  if (!address || !URL.canParse(address)) return null;
  const { protocol } = new URL(address);
  return protocol === "https:" || protocol === "http:" ? address : null;
}

// outside returns a link to another site that opens in a new tab, or only the text if there is no
// address.
export function outside(address, ...children) {
  const href = webAddress(address);
  if (!href) return h("span", null, ...children);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer", class: "outside" },
    ...children);
}

// whileBusy runs something that takes time. While anything runs, the body has data-busy instead of
// data-ready, which the style sheet and browser tests use.
let running = 0;
export async function whileBusy(something) {
  running++;
  mark();
  try {
    return await something();
  } finally {
    running--;
    mark();
  }
}

// navigate leaves the page and keeps it busy until then.
export function navigate(address) {
  running++;
  mark();
  window.location.assign(address);
  return new Promise(() => {});
}

function mark() {
  if (running > 0) {
    document.body.dataset.busy = "true";
    delete document.body.dataset.ready;
  } else {
    delete document.body.dataset.busy;
    document.body.dataset.ready = "true";
  }
}

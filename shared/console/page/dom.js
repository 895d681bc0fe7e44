// Elements out of plain data. Text goes in as text: nothing here, or on the page, parses HTML.

// h makes an element. Properties that begin with "on" are listeners, the others attributes; null,
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

// byId is the element with the id, or null.
export const byId = (id) => document.getElementById(id);

// webAddress is the address if it is one of the web, else null. Addresses come from platforms.
export function webAddress(address) {
  if (!address || !URL.canParse(address)) return null;
  const { protocol } = new URL(address);
  return protocol === "https:" || protocol === "http:" ? address : null;
}

// outside links to another site in a new tab, or is the bare text if there is nowhere to link.
export function outside(address, ...children) {
  const href = webAddress(address);
  if (!href) return h("span", null, ...children);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer", class: "outside" },
    ...children);
}

// working runs something that takes time. While any runs, the body has data-busy and not
// data-ready, which the style sheet and browser tests go by.
let running = 0;
export async function working(something) {
  running++;
  mark();
  try {
    return await something();
  } finally {
    running--;
    mark();
  }
}

// leaving keeps the page busy until it is gone.
export function leaving(address) {
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

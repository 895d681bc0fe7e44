// A list that its reader searches while typing, and extends page by page.

import { failureOf } from "./api.js";
import { h, whileBusy } from "./dom.js";
import { t } from "./language.js";
import { problemText } from "./parts.js";

// typingPeriod is how long the reader must have stopped typing before the list is searched, in
// milliseconds.
const typingPeriod = 250;

// maxPages is how many pages are read for one that has an entry: a page may be empty and not be the
// last.
const maxPages = 4;

// isOfList reports whether a notice is about the whole list, not about its page only.
const isOfList = (notice) => notice.code !== "list_cut";

// searchList returns the list's nodes, and start, which loads the first page:
//   id             of the search field; its parts have ids that begin with it
//   label          of the search field
//   none           what is said of a list without entries
//   load(search, cursor)  returns a page: entries, cursor, notices
//   entry(one)     returns the nodes of an entry, one of them a button
//   autofocus      the search field has the focus when the dialog opens
// Only the answer to the latest question is shown.
export function searchList({ id, label, none, load, entry, autofocus }) {
  const input = h("input", {
    id, type: "text", inputmode: "search", enterkeyhint: "search", autocomplete: "off",
    autocapitalize: "none", spellcheck: "false", autofocus, "aria-controls": `${id}-list`,
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(search, typingPeriod);
    },
  });
  const list = h("ul", { id: `${id}-list`, class: "choices", "aria-label": label });
  const notes = h("div", { id: `${id}-notices`, class: "notices" });
  const trouble = h("div", { id: `${id}-problem`, class: "note bad", role: "alert", hidden: true });
  const state = h("p", { id: `${id}-state`, class: "fine", role: "status" });
  const more = h("button", {
    type: "button", id: `${id}-more`, hidden: true, onclick: () => again(),
  });
  let again = next; // what the button does
  let notices = [];
  let timer;
  let asked = 0;
  let term = "";
  let cursor = "";

  function search() {
    const wanted = input.value.trim();
    if (wanted === term || !input.isConnected) return;
    term = wanted;
    cursor = "";
    next();
  }

  async function next() {
    const mine = ++asked;
    const fresh = !cursor;
    trouble.hidden = true;
    state.textContent = t("loading");
    list.setAttribute("aria-busy", true);
    try {
      const page = await whileBusy(() => firstPage(mine));
      if (mine === asked) show(page, fresh);
    } catch (error) {
      if (mine === asked) fail(failureOf(error), fresh);
    }
    if (mine === asked) list.removeAttribute("aria-busy");
  }

  // firstPage returns the next page that has an entry, or the last one that it reads.
  async function firstPage(mine) {
    let page = await load(term, cursor);
    const passed = [];
    for (let n = 1; n < maxPages && !page.entries.length && page.cursor && mine === asked; n++) {
      passed.push(...(page.notices ?? []));
      page = await load(term, page.cursor);
    }
    return { ...page, notices: [...passed.filter(isOfList), ...(page.notices ?? [])] };
  }

  function show(page, fresh) {
    again = next;
    const items = page.entries.map((one) => h("li", null, entry(one)));
    const pressed = document.activeElement === more;
    cursor = page.cursor ?? "";
    if (fresh) replace(items);
    else list.append(...items);
    if (pressed) (items[0]?.querySelector("button") ?? (cursor ? more : input)).focus();
    more.textContent = t("list.more");
    more.hidden = !cursor;
    notices = [...(fresh ? [] : notices.filter(isOfList)), ...page.notices];
    const once = new Map(notices.map((notice) => [notice.code, notice]));
    notes.replaceChildren(...[...once.values()].map((notice) =>
      h("div", { class: "note mild" }, problemText(notice))));
    const count = list.childElementCount;
    if (count || cursor) state.textContent = t(cursor ? "list.sofar" : "list.count", { count });
    else state.textContent = term ? t("list.unmatched", { search: term }) : none;
  }

  function fail(failure, fresh) {
    const pressed = document.activeElement === more;
    if (fresh) {
      replace([]);
      notes.replaceChildren();
    }
    if (failure.code === "input_malformed") cursor = ""; // of a binding that has changed
    state.textContent = "";
    trouble.replaceChildren(problemText(failure.problem));
    trouble.hidden = false;
    const { signIn } = failure;
    again = signIn ? () => whileBusy(signIn).catch((error) => fail(failureOf(error), fresh)) : next;
    more.textContent = t(signIn ? "signin" : "retry");
    more.hidden = !failure.transient && fresh;
    if (pressed && more.hidden) input.focus();
  }

  // replace replaces the entries. The focus of one that is gone moves to the search field.
  function replace(items) {
    const focused = list.contains(document.activeElement);
    list.replaceChildren(...items);
    if (focused) input.focus();
  }

  return {
    start: next,
    nodes: [
      h("div", { class: "field" }, h("label", { for: id }, label), input),
      state, notes, list, trouble, more,
    ],
  };
}

// A commit, and a file of it: the Dockerfile, or another one.

import { h, outside } from "./dom.js";
import { t, when } from "./language.js";
import { loadingPlace } from "./loading-place.js";
import { copyRow } from "./parts.js";
import { base64url } from "./signin.js";

// commitView returns the nodes of the commit that a ref points at, and start, which loads it. one
// is the path of its repository.
export function commitView(look, one, ref) {
  const place = loadingPlace("commit");
  return {
    nodes: [place.node],
    start: () => place.run(async () => {
      const commit = await look.get(`${one}/commits/${inPath(ref)}`);
      const file = fileForm(look, one, commit.commit);
      return { nodes: [facts(look, commit), file.nodes], after: file.start };
    }, { plain: { ref_unknown: () => t("commit.none") } }),
  };
}

function facts(look, { commit, committedAt, message, url }) {
  return [
    copyRow("hash-found", t("commit"), commit),
    h("dl", null,
      committedAt && h("div", null, h("dt", null, t("commit.date")),
        h("dd", null, h("time", { datetime: committedAt }, when(committedAt)))),
      h("div", null, h("dt", null, t("commit.message")),
        h("dd", { class: "message" }, h("bdi", null, message.trim())))),
    url && h("p", null, outside(url, t("repository.web", { platform: look.platform }))),
  ];
}

// fileForm returns the form that shows a file of the commit. It starts with the Dockerfile.
function fileForm(look, one, commit) {
  const input = h("input", {
    id: "file-path", type: "text", value: "Dockerfile", autocomplete: "off",
    autocapitalize: "none", spellcheck: "false",
  });
  const place = loadingPlace("file");
  const show = () => {
    const path = input.value.trim().replace(/^\/+/, "");
    if (!path) return input.focus();
    return place.run(async () => {
      const text = await look.text(`${one}/files/${inPath(path)}?ref=${commit}`);
      return { nodes: text === null ? [h("p", { class: "note plain" }, t("file.binary"))]
        : content(path, text) };
    }, { plain: { file_unknown: () => t("file.none", { path }) } });
  };
  const submit = (event) => {
    event.preventDefault();
    show();
  };
  return {
    start: show,
    nodes: [
      h("form", { onsubmit: submit },
        h("div", { class: "field" }, h("label", { for: "file-path" }, t("file.path")),
          h("div", { class: "with-button" }, input,
            h("button", { type: "submit", id: "file-show" }, t("show"))))),
      place.node,
    ],
  };
}

// inPath returns a ref or a path as one segment of an address. A gateway may refuse or cut a segment
// with % or ?, and takes one of dots only for a folder: those are sent in base64url after "~".
function inPath(name) {
  if (!/[%?]|^~|^\.\.?$/.test(name)) return encodeURIComponent(name);
  return `~${base64url(new TextEncoder().encode(name))}`;
}

function content(path, text) {
  const count = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  return [
    h("p", { class: "fine", role: "status" }, t("file.lines", { path, count })),
    h("pre", { id: "file-text", tabindex: "0", "aria-label": path }, text),
  ];
}

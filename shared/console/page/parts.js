// Small parts that several views share.

import { h, outside, webAddress } from "./dom.js";
import { has, language, relativeTime, t, when } from "./language.js";

// unwell are the statuses in which the user must do something.
const unwell = ["revoked", "expired", "unauthorized", "unreachable"];

// isUnwell reports whether the user must do something about a binding in this status.
export const isUnwell = (status) => unwell.includes(status);

// tokenEnd returns when a binding's token expires, null if it is known to have ended before that.
export function tokenEnd({ status, tokenExpiresAt: ends }) {
  return ["revoked", "expired"].includes(status) && Date.parse(ends) > Date.now() ? null : ends;
}

export function badge(platform, status) {
  return h("span", {
    id: `status-${platform}`, class: "badge", "data-status": status,
  }, t(`status.${status}`));
}

// moment returns a time as its distance in words. The button shows the date and the zone in its
// place, as the tooltip does.
export function moment(time) {
  const shown = h("time", { datetime: time }, relativeTime(time));
  let full = false;
  return h("button", {
    type: "button", class: "moment", title: when(time),
    onclick: () => {
      full = !full;
      shown.textContent = full ? when(time) : relativeTime(time);
    },
  }, shown);
}

const marks = { granted: "✓", missing: "✕", not_provable: "?" };

// checklist returns permissions by their groups, each with its state if it has one. page, tokenUrl, is
// where a token's permissions are seen and changed; a warning may say why one can't be proved.
export function checklist(permissions, { id, tokenUrl, warnings = [] } = {}) {
  const groups = [...new Set(permissions.map((one) => one.group))];
  const line = ({ name, words, state }) => {
    const why = warnings.find((one) => one.permissions?.includes(name))?.detail;
    return h("li", { "data-state": state },
      state && h("span", { class: "symbol", "aria-hidden": "true" }, marks[state]),
      h("span", null, words, name !== words && [" ", h("code", null, name)],
        state && [" ", h("span", { class: "fine" }, (state !== "granted" && why) || t(`permission.${state}`))],
        state && state !== "granted" && tokenUrl && [" ", outside(tokenUrl, t("permission.fix"))]));
  };
  return h("div", { id, class: "permissions" }, groups.map((group) => [
    group && h("p", { class: "group" }, group),
    h("ul", null, permissions.filter((one) => one.group === group).map(line)),
  ]));
}

// problemText returns a problem in full: what happened, and what to do.
export function problemText(problem) {
  return h("div", { class: "problem-text", "data-code": problem.code },
    h("p", { class: "problem-title" }, problem.title),
    h("p", null, problem.detail),
    problem.remedy && h("p", { class: "remedy" }, linked(problem.remedy)),
    problem.retryAfter > 0 && h("p", null, t("problem.retry", { seconds: problem.retryAfter })),
    problem.status >= 500 && problem.requestId &&
      h("p", { class: "fine" }, t("problem.request"), h("code", null, problem.requestId)));
}

// linked returns a text whose web addresses are links.
const linked = (text) => text.split(/(https?:\/\/[^\s<>"'，。；、]*[^\s<>"'，。；、.,;:!?])/)
  .map((part, i) => (i % 2 ? outside(part, part) : part));

// copyRow returns a labelled value with a button that copies it and announces that it has.
export function copyRow(id, label, value, hint) {
  const text = h("code", { id }, value);
  const said = h("span", { id: `${id}-said`, class: "fine", role: "status" });
  const copy = async () => {
    let key = "copied";
    try {
      await navigator.clipboard.writeText(value);
    } catch { // the browser forbids it
      getSelection().selectAllChildren(text);
      key = "copied.not";
    }
    said.replaceChildren(h("span", null, t(key)));
  };
  return h("div", { class: "copy" },
    h("div", { class: "copy-head" },
      h("span", { id: `${id}-label` }, label),
      said,
      h("button", {
        type: "button", id: `${id}-copy`, class: "quiet",
        "aria-label": t("copy.label", { what: label }), onclick: copy,
      }, t("copy"))),
    text,
    hint && h("p", { class: "fine" }, hint));
}

// picture returns an avatar, or the name's first letter if there is none or it doesn't load.
export function picture(identity) {
  const letter = [...(identity.name ?? identity.username)][0] ?? "?";
  const blank = h("span", { class: "avatar", "aria-hidden": "true" }, letter.toUpperCase());
  const address = webAddress(identity.avatarUrl);
  if (!address) return blank;
  const image = h("img", {
    class: "avatar", src: address, alt: "", width: 32, height: 32,
    onerror: () => image.replaceWith(blank),
  });
  return image;
}

// person returns an identity on a platform, with a link to its page there.
export function person(identity) {
  return h("span", { class: "person" },
    picture(identity),
    h("span", { class: "person-names" },
      outside(identity.profileUrl, identity.name ?? identity.username),
      identity.name && identity.name !== identity.username &&
        h("span", { class: "fine" }, identity.username)));
}

const initials = { codeup: "C", gitee: "Ge", github: "GH", gitlab: "GL", bitbucket: "B" };

// letters returns a platform's one or two letters.
export const letters = (platform) => initials[platform] ?? "?";

// monogram returns a platform's symbol, which is shown next to its name.
export function monogram(platform) {
  return h("span", { class: "monogram", "data-platform": platform, "aria-hidden": "true" },
    letters(platform));
}

// platformTitle returns a platform's name in the reader's language.
export function platformTitle(description) {
  const key = `platform.${description.platform}`;
  return has(key) ? t(key) : description.title;
}

// instanceText returns an instance in one line.
export function instanceText(instance) {
  return t("instance.line", {
    name: instance.name, id: instance.id, type: instanceType(instance.type),
  });
}

// named returns what has a name in one line, with its id.
export const named = ({ name, id }) => (name ? t("named", { name, id }) : id);

export const instanceType = (type) => (has(`type.${type}`) ? t(`type.${type}`) : type);

// regionText returns a region with its common name, if it has one.
export function regionText(region) {
  try {
    const key = `region.${region}`;
    return has(key) ? t("region.named", { name: t(key), region }) : region;
  } catch {
    return region;
  }
}

// joined returns words as a list: "a, b and c".
export const joined = (words) => new Intl.ListFormat(language()).format(words);

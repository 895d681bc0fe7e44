// Small parts that several views show.

import { h, outside, webAddress } from "./dom.js";
import { away, has, language, t, when } from "./language.js";

// unwell are the statuses in which the user must do something.
const unwell = ["revoked", "expired", "unauthorized", "unreachable"];

// isUnwell reports whether the user must do something about a binding in this status.
export const isUnwell = (status) => unwell.includes(status);

export function badge(platform, status) {
  return h("span", {
    id: `status-${platform}`, class: "badge", "data-status": status,
  }, t(`status.${status}`));
}

// moment is a time, its distance in words and its date on demand.
export function moment(time) {
  return h("time", { datetime: time, title: when(time) }, away(time));
}

// problemText is a problem in full: what happened, and what to do.
export function problemText(problem) {
  return h("div", { class: "problem-text", "data-code": problem.code },
    h("p", { class: "problem-title" }, problem.title),
    h("p", null, problem.detail),
    problem.remedy && h("p", { class: "remedy" }, problem.remedy),
    problem.retryAfter > 0 && h("p", null, t("problem.retry", { seconds: problem.retryAfter })),
    problem.status >= 500 && problem.requestId &&
      h("p", { class: "fine" }, t("problem.request"), h("code", null, problem.requestId)));
}

// picture is an avatar, or the name's first letter if there is none or it doesn't load.
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

// person is an identity on a platform, with a link to its page there.
export function person(identity) {
  return h("span", { class: "person" },
    picture(identity),
    h("span", { class: "person-names" },
      outside(identity.profileUrl, identity.name ?? identity.username),
      identity.name && identity.name !== identity.username &&
        h("span", { class: "fine" }, identity.username)));
}

// monogram stands for a platform beside its name.
export function monogram(platform) {
  const letters = {
    codeup: "C", gitee: "Ge", github: "GH", gitlab: "GL", bitbucket: "B",
  };
  return h("span", { class: "monogram", "data-platform": platform, "aria-hidden": "true" },
    letters[platform] ?? "?");
}

// platformTitle is a platform's name as the reader's language has it.
export function platformTitle(description) {
  const key = `platform.${description.platform}`;
  return has(key) ? t(key) : description.title;
}

// instanceText is an instance in one line.
export function instanceText(instance) {
  return t("instance.line", {
    name: instance.name, id: instance.id, type: instanceType(instance.type),
  });
}

export const instanceType = (type) => (has(`type.${type}`) ? t(`type.${type}`) : type);

// regionText is a region with its name, where it has one that people know.
export function regionText(region) {
  try {
    const key = `region.${region}`;
    return has(key) ? `${t(key)} (${region})` : region;
  } catch {
    return region;
  }
}

// joined lists words: "a, b and c".
export const joined = (words) => new Intl.ListFormat(language()).format(words);

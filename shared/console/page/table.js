// The table of an instance's five platforms.

import { byId, h } from "./dom.js";
import { day, t } from "./language.js";
import {
  badge, checklist, isUnwell, moment, monogram, person, platformTitle, problemText, tokenEnd,
} from "./parts.js";

const columns = ["platform", "method", "limit", "status", "identity", "expiry", "actions"];

// table returns the bindings. actions has the actions of its buttons, which take the platform's
// name.
export function table(app, actions) {
  return h("table", { role: "table", "aria-label": t("table.label") },
    h("thead", { role: "rowgroup" },
      h("tr", { role: "row" }, columns.map((name) =>
        h("th", { role: "columnheader", scope: "col" }, t(`column.${name}`))))),
    app.bindings.map((binding) => group(app, binding, actions)));
}

// skeleton is shown in place of the table until it is loaded.
export function skeleton() {
  return h("div", { class: "skeleton", "aria-label": t("loading"), role: "img" },
    [1, 2, 3, 4, 5].map(() => h("span")));
}

function group(app, binding, actions) {
  const description = app.platform(binding.platform);
  const cells = {
    platform: h("span", { class: "platform-cell" },
      monogram(binding.platform),
      h("span", { class: "platform-names" },
        h("span", { class: "platform-title" }, platformTitle(description)),
        h("span", { class: "fine" }, t(`versions.${binding.platform}`)))),
    method: t(`method.${binding.platform}`),
    limit: description.triggerBuildLimit ?? t("limit.none"),
    status: [badge(binding.platform, binding.status), checked(app, binding)],
    identity: identity(binding),
    expiry: expiry(binding),
    actions: buttons(app, binding, actions),
  };
  return h("tbody", {
    role: "rowgroup", id: `row-${binding.platform}`, tabindex: "-1",
    class: app.row === binding.platform && "here",
  },
    h("tr", { role: "row" }, columns.map((name) =>
      h("td", { role: "cell", class: `cell-${name}`, "data-label": t(`column.${name}`) },
        cells[name]))),
    notes(binding, app.may("write")));
}

function checked(app, binding) {
  const { platform } = binding;
  const { text, controller } = app.working.get(platform) ?? {};
  if (text) {
    return h("div", { class: "under-way" }, h("span", { class: "working", role: "status" }, text),
      h("button", {
        type: "button", class: "quiet", id: `stop-${platform}`,
        "aria-label": t("action.label", {
          action: t("cancel"), platform: platformTitle(app.platform(platform)),
        }),
        onclick: () => controller.abort(),
      }, t("cancel")));
  }
  if (!binding.lastCheckedAt) return null;
  return h("span", { class: "fine" }, t(isUnwell(binding.status) ? "checked.good" : "checked"),
    moment(binding.lastCheckedAt));
}

function identity(binding) {
  if (!binding.identity) return h("span", { class: "none" }, "—");
  return [
    person(binding.identity),
    binding.platform === "codeup" && binding.gitUsername &&
      labelled("facts.clone", binding.gitUsername),
    binding.organization && labelled("facts.organization", binding.organization),
    binding.address && binding.method === "token" && binding.platform === "gitlab" &&
      h("span", { class: "fine address" }, binding.address),
  ];
}

const labelled = (key, value) =>
  h("span", { class: "fine address" }, t("labelled", { label: t(key), value }));

function expiry(binding) {
  const { status, method } = binding;
  const ends = tokenEnd(binding);
  if (["unbound", "revoked"].includes(status) || (status === "expired" && !ends)) {
    return h("span", { class: "none" }, "—");
  }
  const dated = ["expiring", "expired"].includes(status) || method === "token";
  if (ends && dated) {
    return h("span", { class: "stack" },
      h("time", { datetime: ends }, day(ends)), h("span", { class: "fine" }, moment(ends)));
  }
  if (ends) return t("expiry.renewed");
  const unknown = binding.warnings.some((warning) => warning.code === "expiry_unknown");
  return t(unknown ? "expiry.unknown" : "expiry.never");
}

// notes returns what is wrong with a binding, in full, and its warnings, folded up. Permissions are
// shown as a checklist in place of a warning each. What to do is only for those who may.
function notes(binding, write) {
  const { platform, problem, permissions = [], warnings = [] } = binding;
  if (!problem && warnings.length === 0) return null;
  const lacks = permissions.some((one) => one.state !== "granted");
  const say = (one) => problemText(write ? one : { ...one, remedy: null });
  const others = warnings.filter((one) => !one.permissions || !lacks);
  const list = lacks && checklist(permissions, binding);
  return h("tr", { role: "row", class: "notes" },
    h("td", { role: "cell", colspan: columns.length },
      problem && h("div", { class: "note bad", id: `problem-${platform}`, tabindex: "-1" },
        say(problem), binding.status === "unauthorized" && list),
      warnings.length > 0 && h("details", { class: "note mild", id: `warnings-${platform}` },
        h("summary", null,
          h("span", null, t(warnings.length === 1 ? "warnings.one" : "warnings.many", {
            count: warnings.length,
          })),
          h("span", { class: "fine" }, titles(warnings))),
        others.map(say),
        binding.status !== "unauthorized" && list)));
}

const titles = (warnings) =>
  [...new Set(warnings.map(({ code, title }) =>
    (code === "permission_missing" ? t("warnings.optional") : title)))].join(t("warnings.between"));

function buttons(app, binding, actions) {
  const { platform, status } = binding;
  const name = platformTitle(app.platform(platform));
  const button = (action, style, not) => {
    const text = t(action === "bind" && status !== "unbound" ? "rebind" : action);
    return h("button", {
      type: "button", id: `${action}-${platform}`, class: style,
      "aria-label": t("action.label", { action: text, platform: name }),
      "aria-disabled": not && "true", title: not && binding.problem?.title,
      onclick: () => (not ? byId(`problem-${platform}`)?.focus() : actions[action](platform)),
    }, text);
  };
  const write = app.may("write");
  if (status === "unbound") return [write && button("bind", "primary"), button("history", "quiet")];
  const wrong = isUnwell(status) || status === "expiring";
  const checking = app.checks && checkHelps(binding);
  return [
    write && button("bind", wrong && !checking ? "primary" : "quiet"),
    app.may("repositories") && button("repositories", "quiet", isUnwell(status)),
    write && app.checks && button("check", checking ? "primary" : "quiet"),
    button("history", "quiet"),
    write && button("unbind", "quiet danger"),
  ];
}

// checkHelps reports whether a check is what the remedy of a binding's problem ends with, and not a
// new bind.
function checkHelps({ status, problem }) {
  return status === "unreachable" ||
    ["user_blocked", "address_not_listed"].includes(problem?.code);
}

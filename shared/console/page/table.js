// The table of an instance's five platforms.

import { h } from "./dom.js";
import { day, t } from "./language.js";
import {
  badge, isUnwell, moment, monogram, person, platformTitle, problemText,
} from "./parts.js";

const columns = ["platform", "method", "status", "identity", "expiry", "actions"];

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
    notes(binding));
}

function checked(app, binding) {
  if (app.working.has(binding.platform)) {
    return h("span", { class: "fine working", role: "status" },
      t("check.running", { platform: platformTitle(app.platform(binding.platform)) }));
  }
  if (!binding.lastCheckedAt) return null;
  return h("span", { class: "fine" }, t("checked"), moment(binding.lastCheckedAt));
}

function identity(binding) {
  if (!binding.identity) return h("span", { class: "none" }, "—");
  return [
    person(binding.identity),
    binding.address && binding.method === "token" && binding.platform === "gitlab" &&
      h("span", { class: "fine address" }, binding.address),
  ];
}

function expiry(binding) {
  const { status, method, tokenExpiresAt: ends } = binding;
  if (status === "unbound" || status === "revoked") return h("span", { class: "none" }, "—");
  const dated = ["expiring", "expired"].includes(status) || method === "token";
  if (ends && dated) {
    return h("span", { class: "stack" },
      h("time", { datetime: ends }, day(ends)), h("span", { class: "fine" }, moment(ends)));
  }
  if (ends) return t("expiry.renewed");
  const unknown = binding.warnings.some((warning) => warning.code === "expiry_unknown");
  return t(unknown ? "expiry.unknown" : "expiry.never");
}

// notes returns what is wrong with a binding, in full, and its warnings, folded up.
function notes(binding) {
  const warnings = binding.warnings ?? [];
  if (!binding.problem && warnings.length === 0) return null;
  return h("tr", { role: "row", class: "notes" },
    h("td", { role: "cell", colspan: columns.length },
      binding.problem && h("div", {
        class: "note bad", id: `problem-${binding.platform}`,
      }, problemText(binding.problem)),
      warnings.length > 0 && h("details", {
        class: "note mild", id: `warnings-${binding.platform}`,
      },
      h("summary", null,
        h("span", null, t(warnings.length === 1 ? "warnings.one" : "warnings.many", {
          count: warnings.length,
        })),
        h("span", { class: "fine" }, titles(warnings))),
      warnings.map(problemText))));
}

const titles = (warnings) =>
  [...new Set(warnings.map((warning) => warning.title))].join(t("warnings.between"));

function buttons(app, binding, actions) {
  const { platform, status } = binding;
  const name = platformTitle(app.platform(platform));
  const button = (action, style) => {
    const text = t(action === "bind" && status !== "unbound" ? "rebind" : action);
    return h("button", {
      type: "button", id: `${action}-${platform}`, class: style,
      "aria-label": t("action.label", { action: text, platform: name }),
      onclick: () => actions[action](platform),
    }, text);
  };
  if (status === "unbound") return [button("bind", "primary"), button("history", "quiet")];
  return [
    button("bind", isUnwell(status) || status === "expiring" ? "primary" : "quiet"),
    !isUnwell(status) && button("repositories", "quiet"),
    app.checks && button("check", "quiet"),
    button("history", "quiet"),
    button("unbind", "quiet danger"),
  ];
}

// The view of the account: each instance with its platforms, what needs attention first.

import { failureOf } from "./api.js";
import { byId, h } from "./dom.js";
import { language, t } from "./language.js";
import { isUnwell, letters, platformTitle, problemText, regionText } from "./parts.js";
import { fragmentOf } from "./place.js";

// pageSize is how many instances are shown at first, and how many more each time.
const pageSize = 100;

// freshPeriod is how long what was read counts as the present state, in milliseconds.
const freshPeriod = 60_000;

// progressPeriod is how often what was read so far is shown, in milliseconds.
const progressPeriod = 1000;

const unbound = { status: "unbound" };
const keyOf = ({ region, id }) => `${region}/${id}`;

// severity is 2 for a binding that no longer works, 1 for one whose token expires soon, else 0.
const severity = ({ status }) => (isUnwell(status) ? 2 : Number(status === "expiring"));

// Overview is the view's state. Its filters stay as they are while an instance is shown.
export class Overview {
  #app;
  #bindings = new Map(); // by instance, then by platform
  #next = this.#bindings; // those that are being read; they replace the others when all are
  #cursor = "";
  #readAt = -Infinity; // when the last page was read
  #reading = null;
  #failure = null;
  #generation = 0;
  #filters = { search: "", region: "", status: "", platform: "" };
  #shown = pageSize;
  #shownAt = 0;
  #view = null;

  constructor(app) {
    this.#app = app;
  }

  // forget drops what was read, which may belong to another user or language.
  forget() {
    this.#generation++;
    this.#bindings = new Map();
    this.#next = this.#bindings;
    this.#cursor = "";
    this.#readAt = -Infinity;
    this.#reading = null;
    this.#view = null;
  }

  // replace takes over the bindings of an instance, which were read for its own view.
  replace(instance, bindings) {
    const bound = bindings.filter((one) => one.status !== "unbound");
    const fresh = new Map(bound.map((one) => [one.platform, one]));
    this.#bindings.set(keyOf(instance), fresh);
    this.#next.set(keyOf(instance), fresh);
  }

  // load reads the account's bindings page by page, unless they were read a moment ago. It pauses
  // while an instance is shown.
  load() {
    if (Date.now() - this.#readAt < freshPeriod) return null;
    this.#reading ??= this.#read(this.#generation);
    return this.#reading;
  }

  async #read(generation) {
    this.#failure = null;
    const there = () => generation === this.#generation;
    const again = !this.#cursor && this.#readAt > 0;
    if (again) this.#next = new Map();
    try {
      do {
        await this.#app.signIn.ensureFresh(0);
        const query = this.#cursor ? `?cursor=${encodeURIComponent(this.#cursor)}` : "";
        const page = await this.#app.api.get(`/v1/bindings${query}`);
        if (!there()) return;
        for (const one of page.bindings) this.#add(one);
        this.#cursor = page.cursor ?? "";
        if (Date.now() - this.#shownAt > progressPeriod) this.#update();
      } while (this.#cursor && !this.#app.instance);
      if (!this.#cursor) {
        this.#readAt = Date.now();
        this.#bindings = this.#next;
      }
    } catch (error) {
      if (there()) this.#failure = failureOf(error);
    }
    if (!there()) return;
    this.#reading = null;
    this.#update();
  }

  #add(binding) {
    const key = keyOf(binding.instance);
    if (!this.#next.has(key)) this.#next.set(key, new Map());
    this.#next.get(key).set(binding.platform, binding);
  }

  #of(instance, platform) {
    return this.#bindings.get(keyOf(instance))?.get(platform) ?? unbound;
  }

  // view returns the nodes, in the page's language.
  view() {
    if (this.#view?.language !== language()) this.#view = this.#build();
    this.#update();
    return this.#view.node;
  }

  #build() {
    const { platforms, instances } = this.#app;
    const regions = [...new Set(instances.map((one) => one.region))];
    const changed = () => {
      this.#shown = pageSize;
      this.#update();
    };
    const search = h("input", {
      id: "filter-search", type: "search", autocomplete: "off", autocapitalize: "none",
      spellcheck: "false", value: this.#filters.search,
      oninput: () => {
        this.#filters.search = search.value;
        changed();
      },
    });
    const select = (name, options) => {
      const control = h("select", {
        id: `filter-${name}`,
        onchange: () => {
          this.#filters[name] = control.value;
          changed();
        },
      }, [["", t("filter.all")], ...options].map(([value, text]) => h("option", { value }, text)));
      control.value = this.#filters[name];
      return control;
    };
    const controls = {
      search,
      region: select("region", regions.map((one) => [one, regionText(one)])),
      status: select("status", [["attention", t("filter.attention")], ...[
        "bound", "expiring", "expired", "revoked", "unauthorized", "unreachable", "unbound",
      ].map((one) => [one, t(`status.${one}`)])]),
      platform: select("platform", platforms.map((one) => [one.platform, platformTitle(one)])),
    };
    const parts = {
      attention: h("p", { id: "attention" }),
      summary: h("p", { id: "overview-state", class: "fine", role: "status" }),
      problem: h("div", { class: "note bad", role: "alert", hidden: true }),
      list: h("ul", { id: "instances", class: "instances", "aria-label": t("overview.heading") }),
      more: h("button", { type: "button", id: "more", onclick: () => this.#more() },
        t("list.more")),
    };
    const node = h("section", { id: "overview", "aria-labelledby": "overview-heading" },
      h("div", { class: "head" },
        h("div", null, h("h1", { id: "overview-heading" }, t("overview.heading")),
          parts.attention)),
      h("div", { class: "filters", role: "search" },
        Object.entries(controls).map(([name, control]) => h("div", { class: "field" },
          h("label", { for: control.id }, t(`filter.${name}`)), control))),
      parts.summary, parts.problem, parts.list, parts.more);
    return { language: language(), node, ...parts };
  }

  #more() {
    const next = this.#shown;
    this.#shown += pageSize;
    this.#update();
    this.#view.list.children[next]?.querySelector("a").focus();
  }

  // #matching returns the instances that fit the filters, those that need attention first.
  #matching() {
    const { region, status, platform } = this.#filters;
    const search = this.#filters.search.trim().toLowerCase();
    const names = this.#app.platforms.map((one) => one.platform)
      .filter((name) => !platform || name === platform);
    const fits = (binding) => (status === "attention" ? severity(binding) > 0
      : !status || binding.status === status);
    const found = [];
    for (const instance of this.#app.instances) {
      if (region && instance.region !== region) continue;
      if (search && !`${instance.name}\n${instance.id}`.toLowerCase().includes(search)) continue;
      const bindings = names.map((name) => this.#of(instance, name));
      // A filter of a platform without one of a status means what is bound there.
      const wanted = platform && !status ? bindings[0].status !== "unbound" : bindings.some(fits);
      if (wanted) found.push({ instance, worst: Math.max(...bindings.map(severity)) });
    }
    return found.sort((a, b) => b.worst - a.worst).map((one) => one.instance);
  }

  // #update shows the state in the view. The focused link keeps the focus.
  #update() {
    if (!this.#view || this.#app.instance) return;
    this.#shownAt = Date.now();
    const { attention, summary, problem, list, more } = this.#view;
    const found = this.#matching();
    const focused = list.contains(document.activeElement) && document.activeElement.id;
    list.replaceChildren(...found.slice(0, this.#shown).map((one) => this.#item(one)));
    if (focused) (byId(focused) ?? byId("filter-search")).focus();
    const all = [...this.#bindings.values()].flatMap((one) => [...one.values()]);
    const count = (level) => all.filter((one) => severity(one) === level).length;
    attention.replaceChildren(t("overview.attention", { broken: count(2), expiring: count(1) }));
    attention.className = count(2) ? "attention bad" : "attention";
    attention.hidden = Boolean(this.#failure) && this.#bindings.size === 0; // nothing is known
    summary.textContent = this.#reading
      ? t("overview.reading", { count: all.length })
      : t("overview.count", { shown: found.length, count: this.#app.instances.length });
    problem.replaceChildren(...(this.#failure ? [problemText(this.#failure.problem), h("button", {
      type: "button", id: "retry", onclick: () => this.#app.reload(),
    }, t("retry"))] : []));
    problem.hidden = !this.#failure;
    if (document.activeElement === more && found.length <= this.#shown) byId("filter-search").focus();
    more.hidden = found.length <= this.#shown;
  }

  #item(instance) {
    const { region, id, name } = instance;
    const bindings = this.#app.platforms.map((one) => [one, this.#of(instance, one.platform)]);
    const words = bindings.filter(([, one]) => severity(one)).map(([platform, one]) =>
      h("li", { "data-status": one.status }, h("a", { href: fragmentOf({ region, id, platform: one.platform }) },
        t("overview.state", {
          platform: platformTitle(platform), status: t(`status.${one.status}`),
        }))));
    return h("li", { class: "instance", "data-instance": keyOf(instance) },
      h("a", { href: fragmentOf(instance), id: `open-${keyOf(instance)}`, class: "instance-name" },
        h("bdi", null, name), h("span", { class: "fine" }, id)),
      h("span", { class: "fine region" }, regionText(region)),
      h("ul", { class: "minis", "aria-label": t("table.label") },
        bindings.map(([platform, one]) => mini(platform, one.status))),
      words.length > 0 && h("ul", { class: "words" }, words));
  }
}

const symbols = { unbound: "–", bound: "✓", expiring: "!", unknown: "?" };

// mini returns a platform's small mark: its letters, and a symbol and a colour for its status.
function mini(platform, status) {
  const name = t("overview.state", {
    platform: platformTitle(platform), status: t(`status.${status}`),
  });
  return h("li", { class: "mini", "data-status": status, title: name },
    h("span", { "aria-hidden": "true" }, letters(platform.platform), " ",
      h("span", { class: "symbol" }, symbols[status] ?? "✕")),
    h("span", { class: "unseen" }, name));
}

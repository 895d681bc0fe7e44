// The page: who is signed in, the selected instance, and its table. Each action has its own module,
// which is loaded when the first view is shown.

import { bindingPath, failureOf, pageFailure } from "./api.js";
import { pending, takeFragment } from "./callback.js";
import { byId, focusOn, h, outside, whileBusy } from "./dom.js";
import { chooseLanguage, has, language, t } from "./language.js";
import { Overview } from "./overview.js";
import { instanceText, problemText, regionText } from "./parts.js";
import { placeOf, setPlace } from "./place.js";
import { elsewhere, started } from "./start.js";
import { skeleton, table } from "./table.js";

const pressed = "bindery.pressed";

// freshPeriod is how long the bindings count as the present state, in milliseconds.
const freshPeriod = 15_000;

const keyOf = ({ region, id }) => `${region}/${id}`;

// App is the page's state.
class App {
  signedIn = null; // not known yet
  failure = null; // shown instead of the table
  platforms = [];
  scopes = null; // of the sign-in
  instances = [];
  instance = null; // null shows all
  row = ""; // the platform whose row the address names
  bindings = []; // of the instance; empty until they are loaded
  working = new Map(); // what is under way, by platform: {text, controller}
  checks = true; // this deployment can check now, as far as the page knows
  #loads = 0;
  #asked = 0;
  #readAt = 0;

  constructor({ config, signIn, api }) {
    this.config = config;
    this.signIn = signIn;
    this.api = api;
    this.overview = new Overview(this);
  }

  platform(name) {
    return this.platforms.find((one) => one.platform === name);
  }

  binding(platform) {
    return this.bindings.find((one) => one.platform === platform);
  }

  // may reports whether the sign-in permits a kind of calls: "write" or "repositories".
  may(what) {
    return this.scopes?.includes(`bindery.${what}`) ?? true;
  }

  // whoText returns the name of the signed-in user.
  whoText() {
    const { user, account } = this.signIn;
    return account ? t("who", { user, account }) : user;
  }

  // load reads everything again. Of two concurrent loads, the later one counts.
  load() {
    const load = ++this.#loads;
    return whileBusy(async () => {
      try {
        await this.signIn.ensureFresh(0);
        const [{ platforms, scopes }, instances] = await Promise.all([
          this.api.get("/v1/platforms"), this.api.instances(),
        ]);
        if (load !== this.#loads) return;
        this.platforms = platforms;
        this.scopes = scopes;
        this.instances = instances;
        this.overview.forget();
        this.failure = null;
      } catch (failure) {
        if (load === this.#loads) this.showFailure(failure);
        return;
      }
      await this.show();
    });
  }

  // show shows the place that the address names. An account with one instance has no overview.
  async show() {
    const place = placeOf(location.hash) ?? {};
    const before = this.instance;
    const all = this.instances;
    this.instance = all.find((one) => one.region === place.region && one.id === place.id)
      ?? (all.length === 1 ? all[0] : null);
    const found = !place.region || this.instance?.id === place.id;
    this.row = found && this.platform(place.platform) ? place.platform : "";
    setPlace(this.instance ? { ...this.instance, platform: this.row } : {}, true);
    if (this.instance !== before) {
      byId("dialog").close();
      byId("drawer").close();
      byId("result").replaceChildren();
      this.bindings = [];
    }
    if (!found) this.note("", "bad", t("place.unknown"));
    await this.reload();
    const row = this.row && byId(`row-${this.row}`);
    if (!row) return;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
  }

  // choose shows another instance.
  async choose({ region, id }) {
    setPlace({ region, id });
    await this.show();
  }

  // reload reads the instance's bindings. Of two concurrent reloads, the later one counts.
  reload() {
    const asked = ++this.#asked;
    return whileBusy(async () => {
      this.draw();
      if (!this.instance) {
        if (this.instances.length) await this.overview.load();
        return;
      }
      try {
        await this.signIn.ensureFresh(0);
        const { bindings } = await this.api.get(bindingPath(this.instance));
        if (asked !== this.#asked) return;
        this.bindings = bindings;
        this.#readAt = Date.now();
        this.overview.replace(this.instance, bindings);
        this.failure = null;
        for (const { dataset: { of, state } } of byId("result").querySelectorAll(".good")) {
          if (state !== this.#stateOf(of)) this.note(of); // it is no longer true
        }
        this.draw();
      } catch (failure) {
        if (asked === this.#asked) this.showFailure(failure);
      }
    });
  }

  #stateOf(platform) {
    const { status, etag } = this.binding(platform) ?? {};
    return `${status} ${etag}`;
  }

  // lookAgain reads the bindings again when the person comes back to the tab after a while, unless
  // something is open or under way.
  async lookAgain() {
    if (!this.signedIn || this.failure || !this.instances.length) return;
    if (this.working.size || byId("dialog").open || byId("drawer").open) return;
    if (Date.now() - this.#readAt < freshPeriod) return;
    this.#readAt = Date.now();
    await this.reload();
  }

  // during runs an action and shows at the platform's row what is under way. A button there and
  // Escape end the signal that the action gets.
  async during(platform, text, action) {
    const controller = new AbortController();
    this.working.set(platform, { text, controller });
    this.draw();
    try {
      return await whileBusy(() => action(controller.signal));
    } finally {
      this.working.delete(platform);
      this.draw();
    }
  }

  // stopped shows the present state after a person has ended a call that may have acted or not.
  async stopped(platform) {
    await this.reload();
    this.note(platform, "plain", t("stopped"));
  }

  // staySignedIn renews the sign-in if it expires within the seconds. If that leaves the page, the
  // action is done again afterwards; until then it is stored in sessionStorage.
  async staySignedIn(name, platform, seconds, draft) {
    this.#keep(name, platform, draft);
    await this.signIn.ensureFresh(seconds);
    sessionStorage.removeItem(pressed);
  }

  // A draft has no token.
  #keep(name, platform, draft) {
    const { user, account } = this.signIn;
    sessionStorage.setItem(pressed, JSON.stringify({ name, platform, draft, user, account }));
  }

  // signInAgain leaves the page to sign in, and opens an action's dialog again afterwards, with what
  // was typed there.
  async signInAgain(name, platform, draft) {
    this.#keep(name, platform, draft);
    try {
      await this.signIn.go();
    } catch (error) {
      console.error(error);
      throw pageFailure("no_issuer");
    }
  }

  // showFailure shows why nothing could be read. What the page shows already stays.
  showFailure(error) {
    const failure = failureOf(error);
    if (!this.bindings.length) this.fail(failure);
    else this.note("", "bad", problemText(failure.problem),
      failure.problem.status === 401 && nextButton(this, failure));
  }

  fail(failure) {
    this.failure = failureOf(failure);
    this.bindings = [];
    this.draw();
  }

  // note shows the result of an action on a platform, or clears it. kind is good, mild, bad or plain. The
  // results of other platforms stay.
  note(platform, kind, ...nodes) {
    const place = byId("result");
    const had = place.contains(document.activeElement);
    for (const of of [platform, ""]) place.querySelector(`[data-of="${of}"]`)?.remove();
    if (had && !place.contains(document.activeElement)) focusOn(`row-${platform}`);
    if (!kind) return;
    const note = h("div", {
      class: `note ${kind}`, "data-of": platform, "data-state": this.#stateOf(platform),
    },
      h("div", null, ...nodes.filter(Boolean)),
      h("button", {
        type: "button", class: "quiet",
        onclick: () => {
          note.remove();
          focusOn();
        },
      }, t("dismiss")));
    place.append(note);
  }

  // draw shows the state. The focused element keeps the focus, or else its row or the page's content
  // has it, and what is unfolded stays so.
  draw() {
    const active = document.activeElement;
    const inside = byId("content").contains(active);
    const focused = active?.id || (inside && active.closest("tbody")?.id);
    const unfolded = [...document.querySelectorAll("details[open]")].map((one) => one.id);
    document.title = t("title");
    byId("language").value = language();
    drawSandbox(this.config.sandboxUrl);
    const person = who(this);
    if (byId("who").firstChild !== (person[0] ?? null)) byId("who").replaceChildren(...person);
    byId("content").replaceChildren(...content(this));
    for (const id of unfolded) byId(id)?.setAttribute("open", "");
    if (inside || (focused && document.activeElement?.id !== focused)) focusOn(focused);
  }
}

function drawSandbox(address) {
  const banner = byId("sandbox");
  banner.hidden = !address;
  if (!address) return;
  banner.setAttribute("aria-label", t("sandbox.title"));
  banner.replaceChildren(h("strong", null, t("sandbox.title")), h("span", null, t("sandbox.text")),
    outside(address, t("sandbox.link")));
}

// who returns the header's part about the person; on a laptop, the form for choosing one.
function who(app) {
  const { signIn } = app;
  if (signIn.dev) {
    app.userForm ??= userForm(app);
    for (const input of app.userForm.querySelectorAll("input")) {
      input.previousElementSibling.textContent = t(input.id);
    }
    return [app.userForm];
  }
  if (!app.signedIn) return [];
  return [
    h("span", { id: "user" }, signIn.user),
    signIn.account && h("span", { id: "account", class: "fine" }, signIn.account),
    h("button", {
      type: "button", class: "quiet", id: "switch", onclick: () => leave(app, "login"),
    }, t("signin.switch")),
  ].filter(Boolean);
}

// userForm returns the form that switches the user. It is created once, because the page may be
// drawn while a person is typing into it.
function userForm(app) {
  const input = (id) => h("input", {
    id, value: app.signIn[id], type: "text", size: 8, autocomplete: "off",
    autocapitalize: "none", spellcheck: "false",
  });
  const user = input("user");
  const account = input("account");
  const switchUser = () => whileBusy(async () => {
    byId("result").replaceChildren();
    app.bindings = [];
    if (account.value.trim() !== app.signIn.account) setPlace({});
    app.signedIn = await app.signIn.switchUser(user.value.trim(), account.value.trim());
    if (app.signedIn) await app.load();
    else app.fail(pageFailure("no_connection"));
  });
  return h("form", { onchange: switchUser, onsubmit: (event) => event.preventDefault() },
    h("label", { for: "user" }, h("span"), user),
    h("label", { for: "account" }, h("span"), account));
}

function leave(app, prompt) {
  return whileBusy(async () => {
    try {
      await app.signIn.go(prompt);
    } catch (error) {
      console.error(error);
      app.fail(pageFailure("no_issuer"));
    }
  });
}

// heading returns the page's heading where nothing else can be said yet.
const heading = () => h("div", { class: "head" }, h("h1", null, t("heading")));

function content(app) {
  const { consoleUrl } = app.config;
  if (elsewhere(app.config)) {
    return [heading(), h("div", { class: "card" },
      h("p", null, t("elsewhere")), h("p", null, h("a", { href: consoleUrl }, consoleUrl)))];
  }
  if (app.failure && !app.instance) return [heading(), failed(app)];
  if (app.signedIn === null) return [heading(), skeleton()];
  if (!app.signedIn) return [signInCard(app)];
  const head = [h("div", { class: "head" },
    h("div", null,
      app.instances.length > 1 && h("a", { href: "#/", id: "all" }, t("overview.link")),
      h("h1", null, t("heading")),
      h("p", { class: "fine" }, app.instance
        ? t("lead.region", { region: regionText(app.instance.region) }) : t("lead"))),
    app.instance && picker(app)),
  app.platforms.length > 0 && !app.may("write") &&
    h("p", { class: "note plain", id: "readonly" }, t("readonly"))].filter(Boolean);
  if (app.failure) return [...head, failed(app)];
  if (!app.platforms.length) return [...head, skeleton()];
  if (!app.instances.length) {
    return [...head, h("div", { class: "card" },
      h("h2", null, t("empty.title")), h("p", null, t("empty.text")))];
  }
  if (!app.instance) return [app.overview.view()];
  if (!app.bindings.length) return [...head, skeleton()];
  return [...head, table(app, actionsOf(app))];
}

function failed(app) {
  return h("div", { class: "card" },
    h("div", { class: "note bad", role: "alert" }, problemText(app.failure.problem)),
    nextButton(app, app.failure));
}

// nextButton returns the button that helps after a failure to read.
function nextButton(app, failure) {
  const signInAgain = failure.problem.status === 401 && !app.signIn.dev;
  return h("button", {
    type: "button", class: "primary", id: signInAgain ? "signin" : "retry",
    onclick: () => (signInAgain ? leave(app)
      : app.signedIn && !pending() ? app.load() : location.reload()),
  }, t(signInAgain ? "signin" : "retry"));
}

function signInCard(app) {
  return h("div", { class: "card center" },
    h("img", { src: document.querySelector(".brand img").src, alt: "", width: 56, height: 56 }),
    h("h1", null, t("signin.title")),
    h("p", null, t(pending() ? "signin.pending" : "signin.text")),
    app.signIn.failed && h("p", { class: "note bad", role: "alert" }, t("signin.failed")),
    h("button", { type: "button", class: "primary", id: "signin", onclick: () => leave(app) },
      t("signin")));
}

function picker(app) {
  const regions = [...new Set(app.instances.map((one) => one.region))];
  const select = h("select", {
    id: "instance",
    onchange: () => app.choose(app.instances.find((one) => keyOf(one) === select.value)),
  }, regions.map((region) => h("optgroup", { label: regionText(region) },
    app.instances.filter((one) => one.region === region).map((one) =>
      h("option", { value: keyOf(one) }, instanceText(one))))));
  select.value = keyOf(app.instance);
  return h("div", { class: "field picker" },
    h("label", { for: "instance" }, t("instance")), select);
}

// loadActions returns the modules of the actions. What failed to load is loaded again by a reload only.
const loadActions = () => whileBusy(() => import("./actions.js")).catch(() => {
  throw pageFailure("no_connection");
});

// actionsOf returns the actions of the table's buttons. If the sign-in expires soon, it is renewed
// before a form opens whose content would be lost.
function actionsOf(app) {
  const careful = (name) => [name, async (platform, draft) => {
    try {
      await app.staySignedIn(name, platform, 120);
      app.note(platform);
      const actions = await loadActions();
      await actions[name](app, platform, draft);
    } catch (error) {
      const { problem } = failureOf(error);
      app.note(platform, "bad", problemText(problem), h("button", {
        type: "button", id: "reload", onclick: () => location.reload(),
      }, t("retry")));
    }
  }];
  return Object.fromEntries(["bind", "unbind", "check", "history", "repositories"].map(careful));
}

// resume does the action that was pressed before the sign-in was renewed. Only the same user gets
// back what was typed.
async function resume(app) {
  const { name, platform, draft, user, account } = JSON.parse(sessionStorage.getItem(pressed)) ?? {};
  sessionStorage.removeItem(pressed);
  const same = user === app.signIn.user && account === app.signIn.account;
  if (!app.binding(platform) || pending() || (draft && !same)) return;
  await actionsOf(app)[name]?.(platform, draft);
}

async function open() {
  const first = await started;
  const { config } = first;
  const app = new App(first);
  byId("language").addEventListener("change", async (event) => {
    try {
      await whileBusy(() => chooseLanguage(event.target.value));
    } catch (error) {
      console.error(error);
      event.target.value = language();
      app.note("", "bad", problemText(pageFailure("no_connection").problem));
      return;
    }
    byId("result").replaceChildren();
    if (app.signedIn) app.load();
    else app.draw();
  });
  window.addEventListener("hashchange", () => {
    if (takeFragment()) location.reload();
    else if (app.signedIn && app.platforms.length) app.show();
  });
  window.addEventListener("focus", () => app.lookAgain());
  window.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || byId("dialog").open || byId("drawer").open) return;
    for (const { controller } of app.working.values()) controller.abort();
  });
  app.draw();
  if (!elsewhere(config)) await signInAndLoad(app, first.begun);
}

async function signInAndLoad(app, begun) {
  try {
    app.signedIn = await begun;
  } catch (error) {
    console.error(error);
    app.fail(pageFailure("no_issuer"));
    return;
  }
  if (!app.signedIn) {
    if (app.signIn.dev) app.fail(pageFailure("no_connection"));
    else app.draw();
    return;
  }
  app.draw();
  await app.load();
  app.api.settle();
  import("./actions.js").catch(() => {}); // the first button shows it
  if (app.failure) return;
  try {
    if (pending()) await (await loadActions()).finish(app);
    await resume(app);
  } catch (failure) {
    app.fail(failure);
  }
}

// lost is shown if there are no texts.
const lost = "此页面未能打开，请重新加载。 This page could not be opened. Reload it.";

// A page that the browser restores from memory shows old data.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());

whileBusy(open).catch(async (error) => {
  // If this site's cookies are blocked, the tab's storage is blocked too.
  const blocked = error.name === "SecurityError";
  if (!blocked) console.error(error);
  await chooseLanguage().catch(() => {}); // for the text below
  const why = blocked ? "blocked" : "broken";
  byId("content").replaceChildren(
    h("div", { class: "head" }, h("h1", null, has("heading") ? t("heading") : "Bindery")),
    h("div", { class: "card" }, has(why) ? t(why) : lost));
});

// The subscription of a repository: which of its changes are forwarded, and what came of each.

import { h, outside, webAddress, whileBusy } from "./dom.js";
import { failureOf } from "./api.js";
import { field, invalid } from "./dialog.js";
import { has, relativeTime, t } from "./language.js";
import { loadingPlace } from "./loading-place.js";
import { moment, problemText } from "./parts.js";

const kinds = ["push", "tag", "merge"];

// usual are the kinds that the switch turns on. Merges need more of some tokens: those of Bitbucket.
const usual = ["push", "tag"];

// subscriptionsView returns the nodes of the list of a binding's subscriptions, and start, which
// loads it. open shows one repository.
export function subscriptionsView(look, open) {
  const entry = ({ repository, health, problem, waiting }) => h("li", null,
    h("button", {
      type: "button", class: "choice", onclick: () => open(repository),
    }, h("bdi", { class: "choice-name" }, repository.name),
    h("span", { class: "marks fine" }, healthBadge(health), problem && h("span", null, problem.title),
      waiting > 0 && h("span", null, t("subscription.waiting", { count: waiting })))));
  return pagedList({
    id: "subscription-list",
    label: t("subscriptions"),
    none: t("subscriptions.none"),
    load: async (cursor) => {
      const page = await look.get(`${look.binding}/subscriptions${cursorQuery(cursor)}`);
      return { items: page.subscriptions, cursor: page.cursor };
    },
    entry,
  });
}

// knownSubscriptions holds a binding's subscriptions. badges says how many don't work as they should.
export function knownSubscriptions(look) {
  const badges = h("span");
  let list; // if it is known
  let reading;
  const show = () => badges.replaceChildren(...["broken", "degraded"].map((health) => {
    const value = list?.filter((one) => one.health === health).length;
    return value ? healthBadge(health, value) : "";
  }));
  async function all(cursor) {
    const page = await look.get(`${look.binding}/subscriptions${cursorQuery(cursor)}`);
    return page.subscriptions.concat(page.cursor ? await all(page.cursor) : []);
  }
  return {
    badges,
    read: () => (reading = whileBusy(async () => {
      list = await all().catch(() => null); // the views show why
      show();
    })),
    async has({ key, name }) {
      await reading;
      return list?.some(({ repository: one }) => one.key === key || one.name === name);
    },
    put({ key }, ...now) {
      list = list?.filter((one) => one.repository.key !== key).concat(now);
      show();
    },
  };
}

const cursorQuery = (cursor) => (cursor ? `?cursor=${encodeURIComponent(cursor)}` : "");

function healthBadge(health, count) {
  return h("span", { class: "badge", "data-health": health }, t(`health.${health}`), count && ` ${count}`);
}

// subscriptionView returns the nodes about a repository's subscription, and start, which loads it. A
// draft is what was chosen in its form before another sign-in.
export function subscriptionView(look, repository, draft) {
  const path = `${look.path}/${encodeURIComponent(repository.key)}/subscription`;
  const place = loadingPlace("subscription");
  const run = (action) => {
    place.node.querySelector(".said")?.remove();
    return place.run(action, { keep: true });
  };
  let choosing = Boolean(draft?.events); // the form with the choices is open
  let typed; // what is chosen in it
  look.draft = () => place.node.isConnected && { repository, ...(choosing && typed?.()) };
  // mayBe returns false if the repository is certainly not subscribed to. On Gitee a repository that
  // was renamed has another key.
  const mayBe = async () => look.id === "gitee" || look.subscribed.has(repository);
  const load = () => run(async () => {
    if (await mayBe() === false) return { nodes: turnedOff() };
    try {
      return await shown(await look.get(path));
    } catch (error) {
      if (failureOf(error).code === "subscription_unknown") return { nodes: turnedOff() };
      throw error;
    }
  });

  const turnOn = () => run(async () => {
    await look.subscribed.read(); // another tab may have subscribed
    try {
      if (await mayBe() !== false) return await shown(await look.get(path));
    } catch (error) {
      if (failureOf(error).code !== "subscription_unknown") throw error;
    }
    return shown(await look.call("PUT", path, { events: usual, branches: [] }));
  });

  // change makes a call and shows the subscription that it returns, with the sentence said.
  // A refusal that is about a field of the form is given to refused, which reports whether it says it.
  const change = (method, end, body, said, refused) => run(async () => {
    try {
      return await shown(await look.call(method, path + end, body), said);
    } catch (error) {
      if (refused?.(failureOf(error).problem)) return null;
      throw error;
    }
  });

  function toggle(on, act) {
    return h("button", {
      type: "button", role: "switch", id: "subscribe", "aria-checked": String(on), class: "switch",
      onclick: act, disabled: !look.write,
    }, t("subscribe"));
  }

  function turnedOff() {
    choosing = false;
    if (repository.archived) return [h("p", { class: "fine" }, t("subscribe.archived"))];
    return [
      toggle(false, turnOn),
      h("p", { class: "fine" }, t("subscribe.hint", { platform: look.platform })),
    ];
  }

  const unsubscribe = () => run(async () => {
    const { webhookLeft } = await look.call("DELETE", path);
    look.subscribed.put(repository);
    return {
      nodes: [turnedOff(), webhookLeft && h("div", { class: "note mild", role: "status" },
        t("subscription.left", { platform: look.platform }), " ",
        outside(webhookLeft.webhooksUrl, t("subscription.webhooks", { platform: look.platform })))],
    };
  });

  async function shown(subscription, said) {
    look.subscribed.put(repository, subscription);
    const events = eventList(look, path);
    await events.start();
    const broken = subscription.health === "broken";
    const { node: form, values } = choices({ ...subscription, ...draft }, saying(said, "saved"),
      (body, refused) => change("PUT", "", body, "saved", refused));
    typed = values;
    draft = null;
    form.open = choosing;
    form.addEventListener("toggle", () => { choosing = form.open; });
    return {
      nodes: [
        h("div", { class: "subscription-head" }, toggle(true, unsubscribe),
          healthBadge(subscription.health)),
        subscription.problem && h("div", { class: `note ${broken ? "bad" : "mild"}`, role: "alert" },
          problemText(subscription.problem)),
        subscription.refsNotWatched && h("p", { class: "note mild" }, t("subscription.refs")),
        look.write && form,
        state(subscription),
        h("div", { class: "row-buttons" },
          look.write && h("button", {
            type: "button", id: "sync", class: broken && "primary",
            onclick: () => change("POST", "/sync", undefined, "synced"),
          }, t("sync")),
          h("button", { type: "button", id: "events-refresh", onclick: load }, t("events.refresh")),
          saying(said, "synced", broken ? "sync.broken" : "synced")),
        h("h5", null, t("events")),
        events.nodes,
      ],
    };
  }

  const state = ({ syncedAt, waiting, webhooksUrl }) => h("p", { class: "marks fine" },
    syncedAt ? h("span", null, t("subscription.synced"), " ", moment(syncedAt))
      : h("span", null, t("subscription.synced.never")),
    waiting > 0 && h("span", null, t("subscription.waiting", { count: waiting })),
    webAddress(webhooksUrl) &&
      outside(webhooksUrl, t("subscription.webhooks", { platform: look.platform })));

  return {
    nodes: [h("section", { class: "subscription", "aria-labelledby": "subscription-title" },
      h("h4", { id: "subscription-title" }, t("subscription")), place.node)],
    start: load,
  };
}

const saying = (said, key, text = key) =>
  said === key && h("span", { class: "fine said", role: "status" }, t(text));

// choices returns the form with the kinds of changes and the branches, and what is said about it.
function choices(subscription, said, save) {
  const boxes = kinds.map((kind) => h("input", {
    type: "checkbox", id: `events-${kind}`, value: kind, checked: subscription.events.includes(kind),
  }));
  const values = () => ({
    events: boxes.filter((box) => box.checked).map((box) => box.value),
    branches: [...new Set(branches.value.split(/[\s,，]+/).filter(Boolean))],
  });
  const branches = h("input", {
    id: "branches", type: "text", value: subscription.branches.join(", "), autocomplete: "off",
    autocapitalize: "none", spellcheck: "false",
  });
  const wrong = h("p", { class: "missing", role: "alert", hidden: true }, t("events.required"));
  const refusal = h("p", { id: "branches-refused", class: "missing", role: "alert", hidden: true });
  const refused = (problem) => {
    const about = problem?.field === "branches";
    refusal.textContent = about ? `${problem.detail} ${problem.remedy}` : "";
    refusal.hidden = !about;
    invalid(branches, about, refusal.id);
    if (about) branches.focus();
    return about;
  };
  const submit = (event) => {
    event.preventDefault();
    refused(null);
    const body = values();
    wrong.hidden = body.events.length > 0;
    if (!body.events.length) return boxes[0].focus();
    return save(body, refused);
  };
  const node = h("details", null, h("summary", null, t("subscription.choose")),
    h("form", { novalidate: true, onsubmit: submit },
      h("fieldset", null, h("legend", null, t("events.which")),
        boxes.map((box) => h("label", { class: "tick", for: box.id }, box, t(`events.${box.value}`))),
        wrong),
      field(branches, t("branches.which"), { hint: t("branches.which.hint"), optional: true }),
      refusal,
      h("div", { class: "row-buttons" },
        h("button", { type: "submit", id: "subscription-save" }, t("save")), said)));
  return { node, values };
}

// eventList returns the list of what was received, newest first, with the button of each that sends
// it again.
function eventList(look, path) {
  const replay = (event, place) => place.run(async () => {
    const now = await look.call("POST", `${path}/deliveries/${event.delivery}/replay`);
    const said = now.state === "forwarded" ? "replayed" : "replay.waits";
    return { nodes: [eventText(now), saying(said, said)] };
  }, { keep: true });
  const entry = (event) => {
    const place = loadingPlace(`event-${event.delivery}`);
    place.node.setAttribute("aria-live", "polite");
    place.node.append(eventText(event));
    return h("li", { "data-state": event.state }, place.node,
      look.write && event.state !== "ignored" && h("button", {
        type: "button", class: "quiet", id: `replay-${event.delivery}`,
        "aria-label": t("replay.label", { number: event.delivery }),
        onclick: () => replay(event, place),
      }, t("replay")));
  };
  return pagedList({
    id: "event-list",
    label: t("events"),
    none: t("events.none"),
    load: async (cursor) => {
      const page = await look.get(`${path}/deliveries${cursorQuery(cursor)}`);
      return { items: page.deliveries, cursor: page.cursor };
    },
    entry,
  });
}

function eventText(event) {
  const name = (event.ref ?? "").replace(/^refs\/(heads|tags)\//, "");
  const type = event.reason === "test" ? "ignored.test"
    : `source.${event.type.replace(/^source\./, "")}`;
  return h("div", { class: "event" },
    h("p", { class: "event-words" },
      has(type) ? t(type) : event.type, " ", name && [h("bdi", null, name), " "],
      event.commit && h("code", null, event.commit.slice(0, 8))),
    event.titles?.length > 0 && h("p", { class: "fine" }, h("bdi", null, event.titles[0])),
    h("p", { class: "marks fine" }, moment(event.receivedAt),
      outcome(event),
      event.pusher && h("bdi", null, event.pusher),
      event.caughtUp && h("span", { class: "mark", title: t("event.caughtUp.hint") },
        t("event.caughtUp"))));
}

// outcome returns what came of an event. The receiver's status is the tooltip.
function outcome({ state, reason, answer, tries, at }) {
  if (state === "ignored") {
    const why = `ignored.${reason}`;
    return h("span", null, t(reason !== "test" && has(why) ? why : "state.ignored"));
  }
  const soon = Date.parse(at) - Date.now() < 60_000;
  const words = t(state === "waiting" && tries ? "state.retry" : `state.${state}`,
    { tries, when: soon ? t("soon") : relativeTime(at) });
  const said = tries > 0 && state !== "forwarded" && t(answer ? "state.refused" : "state.silent");
  return h("span", { title: answer && `HTTP ${answer}` }, words, said && ` · ${said}`);
}

// pagedList returns the nodes of a list that is extended page by page, and start, which loads the
// first page. load returns items and a cursor.
function pagedList({ id, label, none, load, entry }) {
  const list = h("ul", { id, class: "choices", "aria-label": label });
  const state = h("p", { class: "fine", role: "status" });
  const trouble = h("div", { class: "note bad", role: "alert", hidden: true });
  const more = h("button", { type: "button", id: `${id}-more`, hidden: true, onclick: () => again() });
  let again = next;
  let cursor = "";
  async function next() {
    trouble.hidden = true;
    state.textContent = t("loading");
    try {
      const page = await whileBusy(() => load(cursor));
      const items = page.items.map(entry);
      const pressed = document.activeElement === more;
      list.append(...items);
      cursor = page.cursor ?? "";
      state.textContent = list.childElementCount ? "" : none;
      more.textContent = t("list.more");
      more.hidden = !cursor;
      if (pressed) items[0]?.querySelector("button")?.focus();
    } catch (error) {
      fail(failureOf(error));
    }
  }
  function fail({ problem, signIn }) {
    state.textContent = "";
    trouble.replaceChildren(problemText(problem));
    trouble.hidden = false;
    again = signIn ? () => whileBusy(signIn).catch((error) => fail(failureOf(error))) : next;
    more.textContent = t(signIn ? "signin" : "retry");
    more.hidden = false;
  }
  return { nodes: [list, state, trouble, more], start: next };
}

// Ending a binding, checking one now, and showing the history of one.

import { bindingPath, ifUnchanged, pageFailure } from "./api.js";
import { openDialog, openDrawer } from "./dialog.js";
import { byId, h, outside, whileBusy } from "./dom.js";
import { has, t } from "./language.js";
import { checklist, joined, moment, person, platformTitle, problemText, tokenEnd } from "./parts.js";

// unbind asks, unbinds, and shows the token's fate.
export function unbind(app, platform, draft) {
  const name = platformTitle(app.platform(platform));
  let binding = app.binding(platform);
  const who = h("div", { class: "note plain" }, binding.identity && person(binding.identity));
  const revoke = h("input", { type: "checkbox", id: "revoke", checked: draft?.revoke });

  async function end(signal) {
    const query = revoke.checked ? "?revoke=true" : "";
    const path = bindingPath(app.instance, platform) + query;
    const ended = await app.api.call("DELETE", path, {
      headers: ifUnchanged(binding), signal,
    });
    await app.reload();
    return () => told(app, binding, ended);
  }

  async function failed(failure) {
    if (!failure.stale && failure.code !== "no_answer") return null;
    await app.reload();
    binding = app.binding(platform);
    if (binding.status === "unbound") {
      app.note(platform, "good", t("unbound.already", { platform: name }));
      return "close";
    }
    who.replaceChildren(t("changed.bound"), person(binding.identity));
    return failure.stale ? pageFailure("changed") : null;
  }

  openDialog({
    title: t("unbind.title", { platform: name }),
    body: [
      h("p", null, t("unbind.text", { instance: app.instance.name })),
      who,
      // On GitLab only, the person revokes the token; the texts say what happens
      // on the others.
      !hasEnded(binding) && (platform === "gitlab"
        ? h("label", { class: "tick", for: "revoke" }, revoke, t("unbind.revoke"))
        : h("p", { class: "fine" }, t(platform === "github" ? "unbind.github"
          : `unbind.by_hand.${binding.method}`, { platform: name }))),
    ],
    submit: t("unbind"),
    danger: true,
    onsubmit: end,
    onfailure: failed,
    onstopped: () => app.stopped(platform),
    signIn: () => app.signInAgain("unbind", platform, { revoke: revoke.checked }),
  });
}

// hasEnded reports whether a binding's token no longer works, so that there is none to revoke.
const hasEnded = ({ status }) => status === "revoked" || status === "expired";

function told(app, binding, ended) {
  const { platform } = binding;
  const name = platformTitle(app.platform(platform));
  byId(`bind-${platform}`)?.focus(); // the button that was pressed is gone
  const kind = ended.webhooksLeft?.length ? "mild" : "good";
  if (ended.revoked) {
    app.note(platform, kind, t("unbound.revoked", { platform: name }), left(ended));
    return;
  }
  const lives = hasEnded(binding)
    ? t("unbound.dead") : t(`unbound.kept.${binding.method}`, { platform: name });
  app.note(platform, kind, t("unbound.now", { platform: name }), " ", lives, " ",
    ended.revokeUrl && outside(ended.revokeUrl, t("unbound.where", { platform: name })),
    left(ended));
}

// left returns the list of the webhooks that could not be removed, if there are any.
function left({ webhooksLeft }) {
  if (!webhooksLeft?.length) return null;
  return [h("p", null, t("unbound.webhooks")),
    h("ul", { id: "webhooks-left" }, webhooksLeft.map(({ repository, webhooksUrl }) =>
      h("li", null, outside(webhooksUrl, h("bdi", null, repository)))))];
}

// check asks the platform now. In a deployment without that function the buttons disappear.
export async function check(app, platform) {
  const name = platformTitle(app.platform(platform));
  if (app.working.has(platform)) return;
  app.note(platform);
  const before = app.binding(platform).status;
  try {
    const binding = await app.during(platform, t("check.running", { platform: name }), (signal) =>
      app.api.call("POST", `${bindingPath(app.instance, platform)}/check`, { signal }));
    await app.reload();
    sayChecked(app, name, binding, before);
  } catch (failure) {
    if (failure.missing) {
      app.checks = false;
      app.draw();
      app.note(platform, "plain", t("check.missing"));
      return;
    }
    if (failure.problem?.status === 401) {
      app.showFailure(failure);
      return;
    }
    await app.reload();
    if (failure.code === "stopped") app.note(platform, "plain", t("check.stopped", { platform: name }));
    else app.note(platform, "bad", problemText(failure.problem));
  }
}

// sayChecked shows what a check has found. A check that has not settled the state of the token says
// why, and the state from before if it is still that.
function sayChecked(app, name, { platform, status, problem, checkProblem }, before) {
  const values = { platform: name, status: t(`status.${status}`) };
  if (checkProblem) {
    const said = status === before ? "check.unsettled" : "check.done";
    app.note(platform, "bad", h("p", null, t(said, values)),
      problemText(checkProblem));
  } else {
    app.note(platform, problem ? "bad" : "good", t("check.done", values));
  }
}

// history opens the drawer: what is known about a binding, and its events, newest first.
export async function history(app, platform) {
  const name = platformTitle(app.platform(platform));
  const list = h("ol", { class: "events" });
  const more = h("button", { type: "button", hidden: true, onclick: () => next() },
    t("history.more"));
  const path = `${bindingPath(app.instance, platform)}/history`;
  let cursor = "";

  async function next() {
    await whileBusy(async () => {
      try {
        const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
        const page = await app.api.get(path + query);
        cursor = page.cursor ?? "";
        const items = page.events.map(eventItem);
        const pressed = document.activeElement === more;
        list.append(...items);
        more.hidden = !cursor;
        if (pressed && more.hidden) byId("drawer").querySelector("button").focus();
        if (!cursor && !list.childElementCount) list.append(h("li", null, t("history.none")));
      } catch (failure) {
        list.append(h("li", { class: "note bad" }, problemText(failure.problem)));
        more.hidden = false;
      }
    });
  }

  openDrawer(t("history.title", { platform: name }),
    facts(app.binding(platform), app.platform(platform).permissions),
    h("h3", null, t("history.events")), list, more);
  await next();
}

function facts(binding, permissions) {
  if (binding.status === "unbound") return null;
  const inWords = (scope) => permissions.find((one) => one.name === scope)?.words ?? scope;
  const rows = [
    ["facts.address", binding.address],
    ["facts.organization", binding.organization],
    ["facts.clone", binding.platform === "codeup" && binding.gitUsername],
    ["facts.scopes", !binding.permissions && binding.scopes.length > 0 &&
      joined(binding.scopes.map(inWords))],
    ["facts.boundBy", binding.boundBy],
    ["facts.boundAt", binding.boundAt && moment(binding.boundAt)],
    ["facts.checkedAt", binding.lastCheckedAt && moment(binding.lastCheckedAt)],
    ["facts.expiresAt", tokenEnd(binding) && moment(tokenEnd(binding))],
  ];
  return [
    h("dl", null, rows.filter(([, value]) => value).map(([key, value]) =>
      h("div", null, h("dt", null, t(key)), h("dd", null, value)))),
    binding.permissions && [h("h3", null, t("permissions")),
      checklist(binding.permissions, { ...binding, id: "permissions" })],
  ];
}

function eventItem(event) {
  const kind = event.type.replace(/^binding\./, "");
  const key = `event.${kind}`;
  const user = event.identity?.username ?? event.previous?.username ?? "";
  const swapped = event.previous && event.identity && event.previous.id !== event.identity.id;
  const words = swapped
    ? t("event.swapped", { from: event.previous.username, to: event.identity.username })
    : has(key) ? t(key, { user, repository: event.repository?.name }) : event.type;
  return h("li", { "data-event": kind },
    h("p", { class: "event-words" }, words),
    event.problem && problemText(event.problem),
    h("p", { class: "fine" }, moment(event.at), " · ",
      event.actor ? t("event.by", { user: event.actor }) : t("event.itself")));
}

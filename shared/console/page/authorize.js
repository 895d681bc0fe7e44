// Binding by consent at the platform: Gitee, GitHub, Bitbucket. The page is left at the start and
// loaded again when the browser returns with the result.

import { Failure, bindingPath, failureOf, ifUnchanged, pageFailure } from "./api.js";
import { clearPending, pending, rememberStart, startedHere } from "./callback.js";
import { choice } from "./choose.js";
import { openDialog } from "./dialog.js";
import { h, navigate, whileBusy } from "./dom.js";
import { t } from "./language.js";
import { checklist, instanceText, person, platformTitle, problemText, regionText } from "./parts.js";

const pathOf = (id) => `/v1/authorizations/${encodeURIComponent(id)}`;
const nameOf = (app, platform) => platformTitle(app.platform(platform));

// start says what the platform will ask for and what is bound now, and leaves if the person agrees.
export async function start(app, platform) {
  const name = nameOf(app, platform);
  const bound = app.binding(platform);
  const again = bound.status !== "unbound";
  openDialog({
    title: t(again ? "rebind.title" : "bind.title", { platform: name }),
    body: [
      h("p", null, t("leave.text", { platform: name })),
      h("div", { class: "help" }, checklist(app.platform(platform).permissions),
        h("p", { class: "fine" }, t("leave.purpose"))),
      bound.identity && h("div", { id: "bound-now", class: "note mild" },
        t(["revoked", "expired"].includes(bound.status) ? "leave.ended" : "leave.replaces"),
        person(bound.identity)),
      platform === "bitbucket" && h("p", { class: "fine" }, t("leave.instance")),
    ],
    submit: t("leave.submit", { platform: name }),
    onsubmit: async () => () => leave(app, platform),
  });
}

// leave begins an authorization and navigates to the platform.
async function leave(app, platform, instance) {
  const { region, id } = instance ?? app.instance;
  const body = { platform, returnTo: "/" };
  if (platform !== "bitbucket") body.instance = { region, id };
  try {
    await app.during(platform, t("authorize.leaving", { platform: nameOf(app, platform) }),
      async (signal) => {
        const begun = await app.api.call("POST", "/v1/authorizations", { body, signal });
        rememberStart(begun.id, { platform, instance: { region, id } });
        await navigate(begun.startUrl);
      });
  } catch (failure) {
    if (failure.code === "stopped") return;
    refused(app, failure.missing ? pageFailure("not_yet") : failure, { platform, instance });
  }
}

// finish completes the authorization from which the browser has returned, if there is one.
export async function finish(app) {
  const end = pending();
  if (!end) return;
  const here = startedHere(end.id);
  if (end.problem) await whileBusy(() => explain(app, end, here));
  else if (here && here.platform !== "bitbucket") await confirmHere(app, end, here);
  else await whileBusy(() => ask(app, end, here));
}

// boundTo returns what is bound on an instance for a platform.
async function boundTo(app, platform, instance, signal) {
  const { bindings } = await app.api.call("GET", bindingPath(instance), { signal });
  return bindings.find((one) => one.platform === platform);
}

// confirmHere confirms an authorization that this tab has started for its instance. It asks first
// if another account would be replaced, or if the binding has changed since it was read.
async function confirmHere(app, end, here) {
  const { platform, instance } = here;
  const text = t("authorize.finishing", { platform: nameOf(app, platform) });
  let asks = false;
  try {
    await app.during(platform, text, async (signal) => {
      const bound = await boundTo(app, platform, instance, signal);
      if (bound.status !== "unbound") {
        const { identity } = await consented(app, end, signal);
        asks = identity && identity.id !== bound.identity?.id;
      }
      if (!asks) await confirm(app, end, { ...here, bound }, signal);
    });
  } catch (failure) {
    if (failure.code === "stopped") {
      await confirmStopped(app, platform);
      return;
    }
    if (!failure.stale) {
      notConfirmed(app, end, here, failure, () => confirmHere(app, end, here));
      return;
    }
    asks = true;
  }
  if (asks) await whileBusy(() => ask(app, end, here));
}

// confirmStopped shows the present state after a person has ended the call that binds.
async function confirmStopped(app, platform) {
  clearPending();
  await app.stopped(platform);
}

// consented returns the authorization with the identity that has consented.
const consented = (app, end, signal) => app.api.call("GET", pathOf(end.id),
  { headers: { "Bindery-Confirmation-Code": end.confirmationCode }, signal });

// explain shows why the authorization failed, in the API's words if it has some.
async function explain(app, end, here) {
  let found = null;
  try {
    if (end.id) found = await app.api.get(pathOf(end.id));
  } catch (failure) {
    if (failure.problem?.status === 401) throw failure;
  }
  const about = { ...found, ...here };
  const problem = found?.problem ?? callbackProblem(app, end.problem, about.platform);
  clearPending();
  refused(app, new Failure(problem), about);
}

// callbackProblem returns the page's own texts for a problem that the callback reports.
function callbackProblem(app, code, platform) {
  const values = { platform: platform ? nameOf(app, platform) : t("the_platform") };
  return {
    code,
    title: t(`callback.${code}.title`, values),
    detail: t(`callback.${code}.detail`, values),
    remedy: t(`callback.${code}.remedy`, values),
  };
}

// returnAddress returns the address of the page to which an authorization returns, null if it is
// this page.
function returnAddress(returnTo) {
  if (!returnTo || returnTo === "/" || !URL.canParse(returnTo, location.origin)) return null;
  const { origin, href } = new URL(returnTo, location.origin);
  return origin === location.origin ? href : null;
}

// wayBack returns a link to that page, or null.
function wayBack(about) {
  const href = returnAddress(about?.returnTo);
  return href && h("p", null, h("a", { href, id: "back" }, t("authorize.back")));
}

// refused shows a failure, and offers to start again if the platform is known, and the way back to
// the page that the authorization returns to.
function refused(app, failure, about) {
  const known = about?.platform && app.platform(about.platform);
  openDialog({
    title: t("authorize.failed", { platform: known ? platformTitle(known) : t("the_platform") }),
    body: [wayBack(about)],
    problem: failure,
    submit: known && !failure.problem.missing && t("authorize.again"),
    cancel: t("close"),
    onsubmit: async () => () => leave(app, about.platform, about.instance),
  });
}

// isFinal reports whether a refusal of confirm ends the authorization, so that its confirmation
// code never works again.
function isFinal(failure) {
  const open = [
    "conflict", "precondition_failed", "instance_unknown", "scope_missing", "input_malformed",
  ];
  return !failure.transient && !open.includes(failure.code);
}

// confirm binds. Then the stored result is no longer needed, and the page goes where the
// authorization returns to.
async function confirm(app, end, { platform, instance, returnTo, bound: before }, signal) {
  const { confirmationCode } = end;
  const body = { instance: { region: instance.region, id: instance.id }, confirmationCode };
  const headers = ifUnchanged(before);
  const bound = await app.api.call("POST", `${pathOf(end.id)}/confirm`, { body, headers, signal });
  clearPending();
  const back = returnAddress(returnTo);
  if (back) await navigate(back);
  await app.choose(instance);
  app.note(platform, "good", t("bound.now", {
    platform: nameOf(app, platform), user: bound.identity.username,
  }));
}

// notConfirmed shows why an authorization was not confirmed, and offers to try again if that can
// help.
function notConfirmed(app, end, here, failure, again) {
  if (isFinal(failure)) {
    clearPending();
    refused(app, failure, here);
    return;
  }
  openDialog({
    title: t("authorize.failed", { platform: nameOf(app, here.platform) }),
    body: [],
    problem: failure,
    submit: t("retry"),
    cancel: t("close"),
    onsubmit: again,
  });
}

// ask shows the account, and binds if the person agrees: for an authorization that this tab hasn't
// started, and for Bitbucket, whose instance is chosen at the end.
async function ask(app, end, here) {
  let found;
  try {
    found = await consented(app, end);
    if (!found.identity && !found.problem) throw pageFailure("not_this_one");
  } catch (failure) {
    if (isFinal(failure)) clearPending();
    if (failure.transient) openDialog(retryAsking(app, end, here, failure));
    else refused(app, failure, here);
    return;
  }
  if (found.problem) {
    clearPending();
    refused(app, new Failure(found.problem), found);
    return;
  }
  const asked = question(app, end, here, found);
  openDialog(asked.dialog);
  await asked.look();
}

function retryAsking(app, end, here, failure) {
  return {
    title: t("authorize.failed", { platform: t("the_platform") }),
    body: [],
    problem: failure,
    submit: t("retry"),
    cancel: t("close"),
    onsubmit: async () => () => whileBusy(() => ask(app, end, here)),
  };
}

// question returns the dialog that shows which account is bound where, and what it replaces; look
// reads the latter, which depends on the instance that is chosen.
function question(app, end, here, found) {
  const { platform, returnTo } = found;
  const name = nameOf(app, platform);
  const open = platform === "bitbucket" && !found.instance;
  const replaced = h("div", { id: "replaced", role: "status" });
  const chosen = open ? choice(app.instances, here?.instance ?? app.instance, () => look()) : null;
  const instance = () => chosen?.instance() ?? found.instance;
  const fact = (key, ...value) => h("div", null, h("dt", null, t(key)), h("dd", null, ...value));
  let bound;
  let looks = 0;
  async function look() {
    const mine = ++looks;
    replaced.replaceChildren();
    bound = null;
    await whileBusy(async () => {
      try {
        const there = await boundTo(app, platform, instance());
        if (mine === looks) bound = there;
      } catch (error) {
        if (mine === looks) replaced.replaceChildren(problemText(failureOf(error).problem));
        return;
      }
      if (bound?.identity && mine === looks) replaced.replaceChildren(replaces(bound, found));
    });
  }
  const direct = here && !open;
  const dialog = {
    title: t(open ? "choose.title" : "confirm.title", { platform: name }),
    body: [
      h("p", null, t(open ? "choose.text" : direct ? "confirm.replaces" : "confirm.text",
        { platform: name })),
      h("dl", { class: "who" },
        fact("confirm.identity", person(found.identity)),
        fact("confirm.user", app.whoText()),
        !open && fact("confirm.instance", placeText(app, found.instance))),
      chosen?.nodes,
      replaced,
    ],
    submit: t("confirm.submit"),
    cancel: t("confirm.cancel"),
    careful: !here || direct,
    async onsubmit(signal) {
      if (!bound) await look(); // it could not be read before
      if (!bound) throw pageFailure("no_connection");
      return confirm(app, end, { platform, instance: instance(), returnTo, bound }, signal);
    },
    onstopped: () => confirmStopped(app, platform),
    async onfailure(failure) {
      if (failure.stale) {
        await look();
        return pageFailure("changed");
      }
      if (!isFinal(failure)) return null;
      clearPending();
      queueMicrotask(() => refused(app, failure, { platform, instance: instance(), returnTo }));
      return "close";
    },
    oncancel() {
      clearPending();
      const kept = bound?.identity
        ? t("confirm.kept", { platform: name, user: bound.identity.username })
        : t("confirm.cancelled", { platform: name });
      app.note(platform, "plain", kept, wayBack(found));
    },
  };
  return { dialog, look };
}

// replaces says what is bound there now: this account, or another one that would be replaced.
function replaces(bound, found) {
  const same = bound.identity.id === found.identity.id;
  return h("div", { class: `note ${same ? "plain" : "mild"}` },
    t(same ? "replaces.same" : "replaces.other"), person(bound.identity));
}

// placeText returns an instance's name, also of one that isn't in the signed-in user's list.
function placeText(app, { region, id }) {
  const known = app.instances.find((one) => one.region === region && one.id === id);
  return known ? `${instanceText(known)} · ${regionText(region)}` : `${region} / ${id}`;
}

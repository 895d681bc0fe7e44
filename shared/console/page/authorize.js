// Binding by consent at the platform: Gitee, GitHub, Bitbucket. The page is left at the start,
// and is loaded anew when the browser comes back with the end of it.

import { Failure, own } from "./api.js";
import { pending, remember, settled, startedHere } from "./arrival.js";
import { choice } from "./choose.js";
import { openDialog } from "./dialog.js";
import { h, leaving, working } from "./dom.js";
import { has, t } from "./language.js";
import { instanceText, person, platformTitle, regionText } from "./parts.js";

const pathOf = (id) => `/v1/authorizations/${encodeURIComponent(id)}`;
const nameOf = (app, platform) => platformTitle(app.platform(platform));

// start begins an authorization and leaves for the platform.
export async function start(app, platform, instance) {
  app.say("plain", t("authorize.leaving", { platform: nameOf(app, platform) }));
  const { region, id } = instance ?? app.instance;
  const body = { platform, returnTo: "/" };
  if (platform !== "bitbucket") body.instance = { region, id };
  await working(async () => {
    try {
      const begun = await app.api.call("POST", "/v1/authorizations", { body });
      remember(begun.id, { platform, instance: { region, id } });
      await leaving(begun.startUrl);
    } catch (failure) {
      app.say();
      refused(app, failure.missing ? own("not_yet") : failure, { platform, instance });
    }
  });
}

// finish goes on with the authorization that the browser has come back from, if there is one.
export async function finish(app) {
  const end = pending();
  if (!end) return;
  const here = startedHere(end.id);
  if (end.problem) await working(() => explain(app, end, here));
  else if (here && here.platform !== "bitbucket") await confirmAlone(app, end, here);
  else await working(() => ask(app, end, here));
}

// explain says why it has failed, in the API's words if it has some.
async function explain(app, end, here) {
  let found = null;
  try {
    if (end.id) found = await app.api.get(pathOf(end.id));
  } catch (failure) {
    if (failure.problem?.status === 401) throw failure;
  }
  const about = here ?? found;
  const problem = found?.problem ?? words(app, end.problem, about?.platform);
  settled();
  refused(app, new Failure(problem), about);
}

// words are the page's own for what the callback may report.
function words(app, code, platform) {
  const key = has(`callback.${code}.title`) ? code : "other";
  const values = { platform: platform ? nameOf(app, platform) : t("the_platform"), code };
  return {
    code,
    title: t(`callback.${key}.title`, values),
    detail: t(`callback.${key}.detail`, values),
    remedy: t(`callback.${key}.remedy`, values),
  };
}

// refused shows a failure, and offers to begin again if it is known with what.
function refused(app, failure, about) {
  const known = about?.platform && app.platform(about.platform);
  openDialog({
    title: t("authorize.failed", { platform: known ? platformTitle(known) : t("the_platform") }),
    body: [],
    problem: failure,
    submit: known && !failure.problem.missing && t("authorize.again"),
    cancel: t("close"),
    onsubmit: async () => () => start(app, about.platform, about.instance),
  });
}

// over says that a refusal of confirm ends the authorization: the same confirmation code never works again.
function over(failure) {
  const open = ["conflict", "instance_unknown", "scope_missing", "input_malformed"];
  return !failure.passing && !open.includes(failure.code);
}

// confirm binds. Nothing that waited is needed afterwards.
async function confirm(app, end, { platform, instance }) {
  const body = { instance: { region: instance.region, id: instance.id }, confirmationCode: end.confirmationCode };
  const bound = await app.api.call("POST", `${pathOf(end.id)}/confirm`, { body });
  settled();
  await app.choose(instance);
  app.say("good", t("bound.now", {
    platform: nameOf(app, platform), user: bound.identity.username,
  }));
}

// confirmAlone needs no question: this tab has started it, for this instance.
async function confirmAlone(app, end, here) {
  app.say("plain", t("authorize.finishing", { platform: nameOf(app, here.platform) }));
  try {
    await working(() => confirm(app, end, here));
  } catch (failure) {
    app.say();
    if (over(failure)) {
      settled();
      refused(app, failure, here);
      return;
    }
    openDialog({
      title: t("authorize.failed", { platform: nameOf(app, here.platform) }),
      body: [],
      problem: failure,
      submit: t("retry"),
      cancel: t("close"),
      onsubmit: () => confirm(app, end, here),
    });
  }
}

// ask shows whose account it is, and binds if the person says so: for an authorization that this
// tab hasn't started, and for Bitbucket, whose instance is chosen at the end.
async function ask(app, end, here) {
  let found;
  try {
    found = await app.api.get(pathOf(end.id), { "Bindery-Confirmation-Code": end.confirmationCode });
    if (!found.identity && !found.problem) throw own("not_this_one");
  } catch (failure) {
    if (over(failure)) settled();
    if (failure.passing) openDialog(retryAsking(app, end, here, failure));
    else refused(app, failure, here);
    return;
  }
  if (found.problem) {
    settled();
    refused(app, new Failure(found.problem), found);
    return;
  }
  openDialog(question(app, end, here, found));
}

function retryAsking(app, end, here, failure) {
  return {
    title: t("authorize.failed", { platform: t("the_platform") }),
    body: [],
    problem: failure,
    submit: t("retry"),
    cancel: t("close"),
    onsubmit: async () => () => working(() => ask(app, end, here)),
  };
}

function question(app, end, here, found) {
  const { platform } = found;
  const name = nameOf(app, platform);
  const open = platform === "bitbucket" && !found.instance;
  const chosen = open ? choice(app.instances, here?.instance ?? app.instance) : null;
  const instance = () => chosen?.instance() ?? found.instance;
  const fact = (key, ...value) => h("div", null, h("dt", null, t(key)), h("dd", null, ...value));
  return {
    title: t(open ? "choose.title" : "confirm.title", { platform: name }),
    body: [
      h("p", null, t(open ? "choose.text" : "confirm.text", { platform: name })),
      h("dl", { class: "who" },
        fact("confirm.identity", person(found.identity)),
        fact("confirm.user", app.whoText()),
        !open && fact("confirm.instance", placeText(app, found.instance))),
      chosen?.nodes,
    ],
    submit: t("confirm.submit"),
    cancel: t("confirm.cancel"),
    careful: !here,
    onsubmit: () => confirm(app, end, { platform, instance: instance() }),
    onfailure(failure) {
      if (!over(failure)) return null;
      settled();
      queueMicrotask(() => refused(app, failure, { platform, instance: instance() }));
      return "close";
    },
    oncancel() {
      settled();
      app.say("plain", t("confirm.cancelled", { platform: name }));
    },
  };
}

// placeText names an instance, also one that the signed-in user's list doesn't have.
function placeText(app, { region, id }) {
  const known = app.instances.find((one) => one.region === region && one.id === id);
  return known ? `${instanceText(known)} · ${regionText(region)}` : `${region} / ${id}`;
}

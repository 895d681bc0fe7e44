// Binding by a personal access token: Codeup, GitLab.

import { bindingPath, ifUnchanged, pageFailure } from "./api.js";
import { field, firstMissing, invalid, openDialog } from "./dialog.js";
import { h, outside, webAddress } from "./dom.js";
import { t } from "./language.js";
import { person, platformTitle } from "./parts.js";

// fieldOfProblem is the field that a problem is most likely about.
const fieldOfProblem = {
  address_refused: "address",
  port_refused: "address",
  certificate_untrusted: "address",
  platform_unreachable: "address",
  platform_error: "address",
  username_mismatch: "username",
  token_rejected: "token",
  token_expired: "token",
  permission_missing: "token",
  user_blocked: "token",
  organization_unknown: "organization",
};

// bindToken opens the form. What is typed is stored only in the form.
export function bindToken(app, platform) {
  const description = app.platform(platform);
  const name = platformTitle(description);
  const path = bindingPath(app.instance, platform);
  let binding = app.binding(platform);
  const again = binding.status !== "unbound";
  const controls = description.fields.map((key) => control(key, description, binding));
  const now = h("div", null, again && binding.identity && note("rebind.replaces", binding));
  const form = formOf(description, controls);

  const first = controls.map((c) => c.value);

  async function bind(signal) {
    const body = {};
    for (const c of controls) if (c.value.trim()) body[c.name] = valueOf(c);
    const bound = await app.api.call("PUT", path, {
      body, headers: ifUnchanged(binding), signal,
    });
    await app.reload();
    return () => app.say("good", t("bound.now", { platform: name, user: bound.identity.username }));
  }

  async function failed(failure) {
    for (const c of controls) invalid(c, c.name === fieldOfProblem[failure.code]);
    if (failure.stale || failure.code === "no_answer") {
      await app.reload();
      binding = app.binding(platform);
      now.replaceChildren(changed(binding));
      now.scrollIntoView({ block: "center" });
    }
    return failure.stale ? pageFailure("changed") : null;
  }

  openDialog({
    title: t(again ? "rebind.title" : "bind.title", { platform: name }),
    body: [now, form],
    submit: t("bind.submit"),
    check: () => firstMissing(controls),
    onsubmit: bind,
    onfailure: failed,
    onstopped: () => app.stopped(),
    draft: () => controls.some((c, i) => c.value !== first[i]),
  });
}

function formOf(description, controls) {
  const { platform } = description;
  return [
    h("div", { class: "help" },
      h("p", null, t(`help.${platform}`)),
      h("ul", { class: "scopes" }, description.scopes.map((scope) =>
        h("li", null, h("code", null, scope)))),
      h("p", null, tokenPage(description, controls)),
      h("p", { class: "fine" }, t(`note.${platform}`))),
    controls.map((c) => field(c, t(`${platform}.${c.name}`), {
      hint: t(`${platform}.${c.name}.hint`), optional: !c.required,
    })),
  ];
}

// tokenPage returns a link to the page where a token is created. On GitLab that depends on the
// address.
function tokenPage(description, controls) {
  const label = () => t("help.create", { platform: platformTitle(description) });
  if (description.tokenUrl) return outside(description.tokenUrl, label());
  const address = controls.find((c) => c.name === "address");
  const place = h("span");
  const filled = new URLSearchParams({ name: "Bindery", scopes: description.scopes.join(",") });
  const update = () => {
    const base = webAddress(address.value.trim())?.replace(/\/+$/, "");
    place.replaceChildren(base
      ? outside(`${base}/-/user_settings/personal_access_tokens?${filled}`, label())
      : t("help.create.later"));
  };
  address.addEventListener("input", update);
  address.addEventListener("change", () => {
    const host = address.value.trim();
    if (/^[\w-]+(\.[\w-]+)+(:\d+)?(\/|$)/.test(host)) address.value = `https://${host}`;
    update();
  });
  update();
  return place;
}

function control(key, description, binding) {
  const required = !description.optional.includes(key);
  const input = h("input", { id: `field-${key}`, name: key, required, ...kinds[key] });
  if (key === "address") input.value = binding.address ?? "";
  if (key === "organization") input.value = binding.organization ?? "";
  if (key === "username") input.value = binding.identity?.username ?? "";
  if (key === "expiresAt") {
    input.min = dayOf(new Date(Date.now() + 86_400_000));
    const codeup = description.platform === "codeup"; // it doesn't tell the date itself
    if (codeup && Date.parse(binding.tokenExpiresAt) > Date.now()) {
      input.value = dayOf(new Date(binding.tokenExpiresAt));
    }
  }
  if (key === "token") withShowButton(input);
  return input;
}

const plain = { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
const kinds = {
  address: {
    ...plain, type: "url", inputmode: "url", placeholder: "https://gitlab.example.com",
    autofocus: true,
  },
  username: { ...plain, autofocus: true },
  token: { ...plain, type: "password", "data-1p-ignore": true, "data-lpignore": "true" },
  organization: plain,
  expiresAt: { type: "date" },
};

function withShowButton(input) {
  const show = h("button", { type: "button", class: "quiet" }, t("show"));
  show.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    show.textContent = t(shown ? "hide" : "show");
  });
  h("div", { class: "with-button" }, input, show);
}

// valueOf returns the value that is sent. A day is sent as its first moment in local time: an early
// warning does no harm.
function valueOf(input) {
  if (input.type === "date") return new Date(`${input.value}T00:00:00`).toISOString();
  return input.name === "token" ? input.value : input.value.trim();
}

function dayOf(time) {
  const two = (n) => String(n).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

// changed shows the binding after another person has changed it.
function changed(binding) {
  if (binding.status === "unbound") return h("p", { class: "note mild" }, t("changed.unbound"));
  return note("changed.bound", binding);
}

const note = (text, { identity }) => h("div", { class: "note mild" }, t(text), person(identity));

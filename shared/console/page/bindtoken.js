// Binding by a personal access token: Codeup, GitLab.

import { bindingPath, ifUnchanged, pageFailure } from "./api.js";
import { field, firstMissing, invalid, openDialog } from "./dialog.js";
import { byId, h, outside, webAddress } from "./dom.js";
import { t } from "./language.js";
import { checklist, named, person, platformTitle } from "./parts.js";

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

// bindToken opens the form. What is typed is stored only in the form, and while the page is left to
// sign in, without the token, in draft.
export function bindToken(app, platform, draft) {
  const description = app.platform(platform);
  const name = platformTitle(description);
  const path = bindingPath(app.instance, platform);
  let binding = app.binding(platform);
  const title = () =>
    t(binding.status === "unbound" ? "bind.title" : "rebind.title", { platform: name });
  const controls = description.fields.map((key) => control(key, description, binding));
  const now = h("div", null,
    draft && h("p", { class: "note mild" }, t("draft.back")),
    binding.identity && note("rebind.replaces", binding));
  const needed = h("div");
  const first = controls.map((c) => c.value);
  for (const c of controls) c.value = draft?.[c.name] ?? c.value;
  const empty = controls.find((c) => c.required && !c.value) ?? controls[0];
  empty.setAttribute("autofocus", "");
  needed.replaceChildren(checklist(description.permissions));
  const form = formOf(description, controls, needed);

  async function bind(signal) {
    const body = {};
    for (const c of controls) if (c.value.trim()) body[c.name] = valueOf(c);
    const bound = await app.api.call("PUT", path, {
      body, headers: ifUnchanged(binding), signal,
    });
    await app.reload();
    return () => app.note(platform, "good", t("bound.now", { platform: name, user: bound.identity.username }));
  }

  async function failed(failure) {
    const { problem, code } = failure;
    if (problem.choices) offer(problem.choices);
    for (const c of controls) invalid(c, c.name === (problem.field ?? fieldOfProblem[code]));
    needed.replaceChildren(checklist(description.permissions.map((one) => (
      { ...one, state: problem.permissions?.includes(one.name) ? "missing" : undefined }))));
    if (failure.stale || code === "no_answer") {
      await app.reload();
      binding = app.binding(platform);
      now.replaceChildren(changed(binding));
      byId("dialog-title").textContent = title();
      now.scrollIntoView({ block: "center" });
    }
    return failure.stale ? pageFailure("changed") : null;
  }

  // offer puts a list in the place of the organization's field.
  function offer(choices) {
    const i = controls.findIndex((c) => c.name === "organization");
    const { id, name } = controls[i];
    const list = h("select", { id, name, required: true },
      h("option", { value: "" }, t("choose.one")),
      choices.map((one) => h("option", { value: one.id }, named(one))));
    controls[i].parentElement.querySelector("label .fine")?.remove(); // it is not optional
    list.setAttribute("aria-describedby", controls[i].getAttribute("aria-describedby"));
    controls[i].replaceWith(list);
    controls[i] = list;
  }

  function typed() {
    const kept = controls.filter((c) => c.name !== "token").map((c) => [c.name, c.value]);
    return Object.fromEntries(kept);
  }

  openDialog({
    title: title(),
    body: [now, form],
    submit: t("bind.submit"),
    check: () => firstMissing(controls),
    onsubmit: bind,
    onfailure: failed,
    onstopped: () => app.stopped(platform),
    signIn: () => app.signInAgain("bind", platform, typed()),
    draft: () => controls.some((c, i) => c.value !== first[i]),
  });
}

function formOf(description, controls, needed) {
  const { platform } = description;
  return [
    h("div", { class: "help" },
      h("p", null, t(`help.${platform}`)),
      needed,
      h("p", null, tokenPage(description, controls)),
      h("p", { class: "fine" }, t(`note.${platform}`))),
    controls.map((c) => {
      const node = field(c, t(`${platform}.${c.name}`), {
        hint: t(`${platform}.${c.name}.hint`), optional: !c.required,
      });
      if (c.name === "address") node.append(portNote(c));
      return node;
    }),
  ];
}

// ports are the ports below 1025 that HTTP may use, by the rule of the API.
const ports = [21, 70, 80, 210, 280, 443, 488, 591, 777];

// portNote returns a place that says, while the address is typed, that its port won't work.
function portNote(address) {
  const node = h("p", { id: "port-note", class: "missing", role: "status" });
  const update = () => {
    const typed = withScheme(address.value.trim());
    const { protocol, port } = URL.canParse(typed) ? new URL(typed) : {};
    let key = "";
    const beyond = !protocol && /^http(s?):\/\/[^/]*:\d{5,}(\/|$)/.exec(typed);
    if (beyond) key = beyond[1] ? "port.https" : "port.http";
    else if (protocol === "https:" && port) key = "port.https";
    else if (port && port < 1025 && !ports.includes(Number(port))) key = "port.http";
    node.textContent = key && t(key);
  };
  address.addEventListener("input", update);
  update();
  return node;
}

// withScheme completes an address that begins with a host: "gitlab.com".
const withScheme = (text) =>
  (/^[\w-]+(\.[\w-]+)+(:\d+)?(\/|$)/.test(text) ? `https://${text}` : text);

// tokenPage returns a link to the page where a token is created. On GitLab that depends on the
// address.
function tokenPage(description, controls) {
  const label = () => t("help.create", { platform: platformTitle(description) });
  if (description.tokenUrl) return outside(description.tokenUrl, label());
  const address = controls.find((c) => c.name === "address");
  const place = h("span");
  const filled = new URLSearchParams({ name: "Bindery", scopes: description.scopes.join(",") });
  const update = () => {
    const base = webAddress(withScheme(address.value.trim()))?.replace(/\/+$/, "");
    place.replaceChildren(base
      ? outside(`${base}/-/user_settings/personal_access_tokens?${filled}`, label())
      : t("help.create.later"));
  };
  address.addEventListener("input", update);
  address.addEventListener("change", () => {
    address.value = withScheme(address.value.trim());
  });
  update();
  return place;
}

function control(key, description, binding) {
  const required = !description.optional.includes(key);
  const input = h("input", { id: `field-${key}`, name: key, required, ...kinds[key] });
  if (key === "address") input.value = binding.address ?? "";
  if (key === "organization") input.value = binding.organization ?? "";
  if (key === "username") {
    const known = description.platform !== "codeup" && binding.identity?.username;
    input.value = binding.gitUsername ?? (known || "");
  }
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
  },
  username: plain,
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

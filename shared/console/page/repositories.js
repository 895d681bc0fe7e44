// The repositories of a binding: the list of them, and a repository with its branches and tags.

import { bindingPath, pageFailure } from "./api.js";
import { commitView } from "./commit.js";
import { field, firstMissing, openDrawer } from "./dialog.js";
import { h, outside, webAddress } from "./dom.js";
import { has, t } from "./language.js";
import { copyRow, platformTitle } from "./parts.js";
import { searchList } from "./search-list.js";
import { knownSubscriptions, subscriptionView, subscriptionsView } from "./subscription.js";

// repositories opens the drawer with the list. The views that it leads to cover the list. A draft is
// what was open before another sign-in.
export async function repositories(app, platform, draft) {
  const binding = bindingPath(app.instance, platform);
  const look = {
    id: platform,
    platform: platformTitle(app.platform(platform)),
    credential: `${app.api.origin}${binding}/credential`,
    binding,
    write: app.may("write"),
    path: `${binding}/repositories`,
    get: (path) => read(() => app.api.get(path)),
    call: (method, path, body) => read(() => app.api.call(method, path, { body })),
    text: (path) => read(() => app.api.text(path)),
  };
  async function read(call) {
    await app.staySignedIn("repositories", platform, 0, look.draft?.());
    try {
      return await call();
    } catch (failure) {
      if (failure.problem?.status === 401) {
        failure.signIn = () => app.signInAgain("repositories", platform, look.draft?.());
      }
      throw failure.missing ? pageFailure("not_yet") : failure;
    }
  }
  look.subscribed = knownSubscriptions(look);

  const list = searchList({
    id: "repository-search",
    label: t("repositories.search"),
    none: t("repositories.none", { platform: look.platform }),
    autofocus: true,
    async load(search, cursor) {
      const page = await look.get(look.path + query({ search, cursor }));
      return { ...page, entries: page.repositories };
    },
    entry: (repository) => h("button", {
      type: "button", class: "choice", onclick: () => openRepository(look, views, repository),
    }, h("bdi", { class: "choice-name" }, repository.name), marks(repository)),
  });
  const subscribed = () => {
    const view = subscriptionsView(look, (repository) => openRepository(look, views, repository));
    views.open(t("repositories.back"), t("subscriptions"), view.nodes);
    return view.start();
  };
  const views = viewStack([
    h("p", null, h("button", { type: "button", id: "subscriptions", onclick: subscribed },
      t("subscriptions"), look.subscribed.badges)),
    list.nodes,
  ]);
  openDrawer(t("repositories.title", { platform: look.platform }), views.node);
  look.subscribed.read();
  await list.start();
  if (draft) openRepository(look, views, draft.repository, draft);
}

// query returns the parameters that have a value, as the end of an address.
function query(values) {
  const given = Object.entries(values).filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

// viewStack returns a place that shows one view of several. open covers the view with another one,
// which has a button back; then the element that had the focus has it again.
function viewStack(nodes) {
  const node = h("div", { class: "views" }, h("section", null, nodes));
  let opened = 0;
  function open(back, title, ...content) {
    const below = node.lastElementChild;
    const opener = document.activeElement;
    const id = `view-${++opened}`;
    const heading = h("h3", { id, tabindex: "-1" }, title);
    const view = h("section", { "aria-labelledby": id },
      h("button", {
        type: "button", class: "quiet back",
        onclick: () => {
          view.remove();
          below.hidden = false;
          (below.contains(opener) ? opener : below.querySelector("input, button")).focus();
        },
      }, back),
      heading, content);
    below.hidden = true;
    node.append(view);
    heading.focus();
  }
  return { node, open };
}

// marks returns what distinguishes a repository in a list.
function marks({ visibility, defaultBranch, archived, empty }) {
  return h("span", { class: "marks fine" },
    visibility && h("span", null,
      has(`visibility.${visibility}`) ? t(`visibility.${visibility}`) : visibility),
    defaultBranch && h("span", null, `${t("repository.default")} `, h("bdi", null, defaultBranch)),
    archived && h("span", { class: "mark" }, t("repository.archived")),
    empty && h("span", { class: "mark" }, t("repository.empty")));
}

function openRepository(look, views, repository, draft) {
  const { name, url, webUrl, empty } = repository;
  const helper = helperLine(url, look.credential);
  const subscription = subscriptionView(look, repository, draft);
  views.open(t("repositories.back"), h("bdi", null, name),
    marks(repository),
    webAddress(webUrl) && h("p", null, outside(webUrl, t("repository.web", { platform: look.platform }))),
    webAddress(url) && copyRow("clone", t("repository.clone"), url),
    helper && copyRow("helper", t("repository.helper"), helper, t("repository.helper.hint")),
    subscription.nodes,
    empty ? h("p", { class: "note plain" }, t("repository.empty.text"))
      : refs(look, views, repository));
  subscription.start();
}

// plainAddress is an address that means only itself in a shell's command.
const plainAddress = /^https?:\/\/[\w.:/%~-]+$/;

// helperLine returns the command that lets git ask Bindery for a credential, for the host of the
// clone address. It is null if an address could mean more than itself in a shell: a platform may
// give any. The command has no token in it.
function helperLine(clone, credential) {
  if (!webAddress(clone)) return null;
  const { origin } = new URL(clone);
  if (!plainAddress.test(origin) || !plainAddress.test(credential)) return null;
  const ask = `curl -fsS -X POST -H @"$HEADER" "${credential}?format=git"`;
  return `git config --global credential.${origin}.helper '!f() { test "$1" = get && ${ask}; }; f'`;
}

// prefixes are what the name of a ref begins with, by the kind of list that it is in.
const prefixes = { branches: "heads/", tags: "tags/" };

// refs returns the choice between branches, tags and a commit, and the list or form for it.
function refs(look, views, repository) {
  const one = `${look.path}/${encodeURIComponent(repository.key)}`;
  const show = (ref, title) => {
    const commit = commitView(look, one, ref);
    views.open(t("commit.back"), title, commit.nodes);
    commit.start();
  };
  const panels = {
    branches: refList(look, one, "branches", show),
    tags: refList(look, one, "tags", show),
    commit: hashForm(show),
  };
  const place = h("div", { class: "panel" });
  const choose = (kind) => {
    place.replaceChildren(...panels[kind].nodes);
    panels[kind].start?.();
    delete panels[kind].start;
  };
  const option = (kind) => h("label", null,
    h("input", {
      type: "radio", name: "kind", id: `kind-${kind}`, value: kind, checked: kind === "branches",
      onchange: () => choose(kind),
    }), t(`kind.${kind}`));
  choose("branches");
  return [
    h("fieldset", { class: "kinds" }, h("legend", null, t("kind")),
      Object.keys(panels).map(option)),
    place,
  ];
}

function refList(look, one, kind, show) {
  return searchList({
    id: `${kind}-search`,
    label: t(`${kind}.search`),
    none: t(`${kind}.none`),
    async load(search, cursor) {
      const page = await look.get(`${one}/${kind}${query({ search, cursor })}`);
      return { ...page, entries: page.refs };
    },
    entry: ({ name, commit, default: first, protected: guarded }) => h("button", {
      type: "button", class: "choice",
      onclick: () => show(prefixes[kind] + name, h("bdi", null, name)),
    }, h("bdi", { class: "choice-name" }, name),
    h("span", { class: "marks fine" },
      h("code", null, commit.slice(0, 8)),
      first && h("span", { class: "mark" }, t("ref.default")),
      guarded && h("span", { class: "mark" }, t("ref.protected")))),
  });
}

// hashForm returns the form that looks up a commit by its hash.
function hashForm(show) {
  const input = h("input", {
    id: "hash", type: "text", required: true, autocomplete: "off", autocapitalize: "none",
    spellcheck: "false",
  });
  const submit = (event) => {
    event.preventDefault();
    const hash = input.value.trim();
    if (firstMissing([input])) input.focus();
    else show(hash, h("bdi", null, hash));
  };
  h("div", { class: "with-button" }, input, h("button", { type: "submit", id: "hash-find" },
    t("hash.find")));
  return {
    nodes: [h("form", { novalidate: true, onsubmit: submit },
      field(input, t("hash"), { hint: t("hash.hint") }))],
  };
}

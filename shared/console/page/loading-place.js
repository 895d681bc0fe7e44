// A place that shows what an action has loaded, or why it failed.

import { failureOf } from "./api.js";
import { byId, h, whileBusy } from "./dom.js";
import { t } from "./language.js";
import { problemText } from "./parts.js";

// loadingPlace returns a place, and run, which shows in it the nodes that an action returns, or the
// action's failure with a button to try again. Of two runs, the later one counts. plain has a
// sentence for some failures, by their code. With keep, what the place shows stays while the action
// runs, and below a failure, so that nothing that was typed is lost; and after an action that returns
// nothing.
export function loadingPlace(id) {
  const node = h("div", { id, class: "panel", tabindex: "-1" });
  const failure = h("div", { class: "panel" });
  let runs = 0;
  async function run(action, { plain = {}, keep = false } = {}) {
    const mine = ++runs;
    const focused = node.contains(document.activeElement) && document.activeElement;
    failure.remove();
    const kept = keep && node.hasChildNodes();
    if (!kept) node.replaceChildren(h("p", { class: "fine", role: "status" }, t("loading")));
    if (focused && !focused.isConnected) node.focus();
    let result;
    try {
      result = await whileBusy(action);
    } catch (error) {
      const { code, problem, transient, signIn } = failureOf(error);
      const again = signIn ? () => run(signIn, { keep })
        : transient && (() => run(action, { plain, keep }));
      failure.replaceChildren(...failed(problem, plain[code], again, signIn));
      result = { nodes: [failure] };
    }
    if (mine !== runs || !result) return;
    if (kept && result.nodes.includes(failure)) {
      node.prepend(failure);
      failure.scrollIntoView({ block: "nearest" });
      return;
    }
    const now = document.activeElement;
    const had = node.contains(now) && (now === node && focused || now);
    node.replaceChildren(...result.nodes.flat(Infinity).filter(Boolean));
    if (had) refocus(node, had.id);
    await result.after?.();
  }
  return { node, run };
}

// refocus gives the focus to the element of the place with the id of the one that had it.
function refocus(node, id) {
  const next = byId(id);
  if (node.contains(next)) next.focus();
  if (!node.contains(document.activeElement)) node.focus();
}

function failed(problem, plain, again, signIn) {
  if (plain) return [h("p", { class: "note plain", role: "status" }, plain())];
  return [
    h("div", { class: "note bad", role: "alert" }, problemText(problem)),
    again && h("div", null, h("button", {
      type: "button", onclick: again, id: signIn && "signin-again",
    }, t(signIn ? "signin" : "retry"))),
  ].filter(Boolean);
}

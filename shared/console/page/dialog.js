// The one dialog, for forms and questions, and the drawer for reading.

import { byId, focusOn, h, whileBusy } from "./dom.js";
import { failureOf } from "./api.js";
import { t } from "./language.js";
import { problemText } from "./parts.js";

// openDialog shows a dialog:
//   title, body      its contents; body is nodes
//   submit           the text of the button #submit; without a text there is no button
//   danger           the button deletes something
//   careful          Enter doesn't press the button, so that the question is read
//   cancel           the text of the other button
//   problem          a failure that is shown from the start
//   check()          returns the first field that is not filled in correctly, or null
//   onsubmit(signal) acts until the signal ends it, which Cancel and Escape do. When it returns, the
//                    dialog closes; a Failure is shown in #problem and the form stays as it is. The
//                    func that it returns is called after closing.
//   onfailure(f)     may handle the failure first, and return "close", or a failure to show
//   oncancel()       is called when the person cancels
//   onstopped()      is called when the person has ended onsubmit, and it may have acted or not
//   signIn()         signs in again and keeps what was typed, when the sign-in has ended
//   draft()          reports whether there is input that would be lost. Then the first Cancel or
//                    Escape asks, and the second one closes.
export function openDialog(o) {
  const dialog = byId("dialog");
  if (dialog.open) dialog.close();
  const opener = document.activeElement?.id;
  const trouble = h("div", { id: "problem", class: "note bad", role: "alert", hidden: true });
  const fields = h("fieldset", null, o.body);
  const submit = o.submit && h("button", {
    type: "submit", id: "submit", class: o.danger ? "primary danger" : "primary",
  }, o.submit);
  const cancel = h("button", { type: "button", class: "cancel", onclick: () => dismiss() },
    o.cancel ?? t("cancel"));
  const keep = h("button", {
    type: "button", class: "primary", id: "keep", hidden: true,
    onclick: () => {
      ask(false);
      form.querySelector('[aria-invalid="true"], input').focus();
    },
  }, t("draft.keep"));
  const signIn = h("button", {
    type: "button", class: "primary", id: "signin-again", hidden: true,
    onclick: () => whileBusy(o.signIn).catch((error) => show(failureOf(error))),
  }, t("signin"));
  const form = h("form", { novalidate: true, autocomplete: "off", onsubmit: act },
    h("h2", { id: "dialog-title", tabindex: "-1" }, o.title),
    fields,
    h("div", { class: "dialog-foot" }, trouble,
      h("div", { class: "dialog-buttons" }, cancel, keep, signIn, submit)));
  let running = null; // the AbortController of onsubmit
  let asked = false; // whether the input may be lost
  let shown = o.problem; // the failure

  function show(failure) {
    shown = failure;
    trouble.className = "note bad";
    trouble.replaceChildren(...(failure ? [problemText(failure.problem)] : []));
    trouble.hidden = !failure;
    offerSignIn(failure?.problem.status === 401 && Boolean(o.signIn));
  }

  function offerSignIn(now) {
    const pressed = document.activeElement;
    signIn.hidden = !now;
    if (submit) submit.hidden = now;
    if ([submit, signIn].includes(pressed)) (now ? signIn : submit)?.focus();
  }

  function ask(now) {
    const pressed = [submit, signIn].includes(document.activeElement);
    asked = now;
    cancel.textContent = now ? t("draft.discard") : o.cancel ?? t("cancel");
    keep.hidden = !now;
    offerSignIn(false);
    submit.hidden = now;
    if (now && pressed) keep.focus();
    if (!now) {
      show(shown);
      return;
    }
    trouble.className = "note mild";
    trouble.replaceChildren(t("draft.ask"));
    trouble.hidden = false;
  }

  async function act(event) {
    event.preventDefault();
    if (running) return;
    if (asked) ask(false);
    show(null);
    const wrong = o.check?.();
    if (wrong) {
      reveal(wrong);
      return;
    }
    const typing = document.activeElement; // a field that is disabled loses the focus
    setBusy(new AbortController());
    let after;
    try {
      const { signal } = running;
      after = await whileBusy(() => o.onsubmit(signal));
    } catch (error) {
      if (error.code === "stopped") {
        close();
        await o.onstopped?.();
        return;
      }
      const failure = await lookAt(error);
      setBusy(null);
      if (failure === "close") {
        close();
        return;
      }
      show(failure);
      const refused = form.querySelector('[aria-invalid="true"]');
      if (refused) reveal(refused);
      else if (fields.contains(typing)) typing.focus();
      return;
    }
    setBusy(null);
    close();
    await after?.();
  }

  async function lookAt(error) {
    const failure = failureOf(error);
    return await o.onfailure?.(failure) ?? failure;
  }

  function setBusy(controller) {
    const now = Boolean(controller);
    running = controller;
    form.toggleAttribute("data-busy", now);
    form.setAttribute("aria-busy", now);
    fields.disabled = now;
    // Not disabled, because that would remove the focus from the button that was
    // pressed.
    submit?.setAttribute("aria-disabled", now);
  }

  function close() {
    dialog.close();
    dialog.replaceChildren();
    focusOn(opener);
  }

  function dismiss() {
    if (running) {
      running.abort();
      return;
    }
    if (!asked && o.draft?.()) {
      ask(true);
      return;
    }
    close();
    o.oncancel?.();
  }

  dialog.oncancel = (event) => {
    event.preventDefault();
    dismiss();
  };
  // A browser lets a page prevent only the first of two Escapes.
  dialog.onclose = () => {
    if (form.isConnected && !dialog.open) close();
  };
  form.addEventListener("input", () => asked && ask(false));
  dialog.replaceChildren(form);
  show(o.problem);
  dialog.showModal();
  const first = o.danger || o.careful ? cancel : submit ?? cancel;
  (form.querySelector("[autofocus]") ?? first).focus();
}

// openDrawer shows nodes at the side of the window.
export function openDrawer(title, ...body) {
  const drawer = byId("drawer");
  const opener = document.activeElement?.id;
  const close = () => drawer.close();
  // The event comes later than the closing: the drawer may be open again.
  drawer.onclose = () => {
    if (drawer.open) return;
    drawer.replaceChildren();
    focusOn(opener);
  };
  // Not a value: a handler that returns false cancels the click.
  drawer.onclick = (event) => {
    if (event.target === drawer) close();
  };
  drawer.replaceChildren(h("div", { class: "drawer-inside" },
    h("header", null,
      h("h2", { id: "drawer-title" }, title),
      h("button", { type: "button", class: "quiet", onclick: close }, t("close"))),
    body));
  drawer.showModal();
}

// field returns a labelled control with a hint below. Its control has the id.
export function field(control, label, { hint, optional } = {}) {
  const { id } = control;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: "field" },
    h("label", { for: id }, label, optional && h("span", { class: "fine" }, t("optional"))),
    control.parentElement ?? control,
    h("p", { id: `${id}-missing`, class: "missing", "aria-live": "polite", hidden: true }, t("required")),
    hint && h("p", { id: `${id}-hint`, class: "fine" }, hint));
}

// reveal gives the focus to a control, and shows it with its label and what is said below it.
function reveal(control) {
  control.focus({ preventScroll: true });
  control.closest(".field").scrollIntoView({ block: "nearest" });
}

// firstMissing marks the required controls that are empty, and those that are incomplete, such as a
// date without a year, whose value is empty too. It returns the first.
export function firstMissing(controls) {
  const empty = controls.filter((control) =>
    control.validity.badInput || (control.required && !control.value.trim()));
  for (const control of controls) {
    const wrong = empty.includes(control);
    invalid(control, wrong, `${control.id}-missing`);
    byId(`${control.id}-missing`).hidden = !wrong;
  }
  return empty[0] ?? null;
}

// invalid marks a control as invalid, or as valid. Why is said by the element with the id why, or by
// the dialog's problem.
export function invalid(control, wrong, why = "problem") {
  control.setAttribute("aria-invalid", wrong);
  if (wrong) control.setAttribute("aria-errormessage", why);
  else control.removeAttribute("aria-errormessage");
}

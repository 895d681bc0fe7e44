// The page's two languages, and dates in them.

import english from "./text-en.js";
import chinese from "./text-zh-CN.js";

const texts = { "zh-CN": chinese, en: english };
const remembered = "bindery.language";

let current = "en";

// language is "zh-CN" or "en".
export const language = () => current;

// speak chooses a language and remembers it. Without one, it is the one chosen before, or else
// the browser's.
export function speak(wanted) {
  if (wanted) localStorage.setItem(remembered, wanted);
  const chosen = wanted ?? localStorage.getItem(remembered);
  if (chosen && texts[chosen]) current = chosen;
  else current = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
  document.documentElement.lang = current;
}

// has says whether there is such a text.
export const has = (key) => Object.hasOwn(texts[current], key);

// t is a text, with its {names} filled in.
export function t(key, values = {}) {
  const text = texts[current][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

// when is a time in words: "20 May 2026, 14:03".
export function when(time) {
  return new Intl.DateTimeFormat(current, { dateStyle: "medium", timeStyle: "short" })
    .format(new Date(time));
}

// day is a time's day in words.
export function day(time) {
  return new Intl.DateTimeFormat(current, { dateStyle: "medium" }).format(new Date(time));
}

// away is how far off a time is, in words: "in 3 days", "2 hours ago".
export function away(time) {
  const seconds = (new Date(time) - Date.now()) / 1000;
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const format = new Intl.RelativeTimeFormat(current, { numeric: "auto", style: "short" });
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return t("now");
}

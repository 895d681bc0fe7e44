// The page's two languages, and dates in them.

import english from "./text-en.js";
import chinese from "./text-zh-CN.js";

const texts = { "zh-CN": chinese, en: english };
const remembered = "bindery.language";

let current = "en";

// language is "zh-CN" or "en".
export const language = () => current;

// chooseLanguage sets a language and stores it. Without an argument it is the stored one, or else
// the browser's.
export function chooseLanguage(wanted) {
  if (wanted) localStorage.setItem(remembered, wanted);
  const chosen = wanted ?? localStorage.getItem(remembered);
  if (chosen && texts[chosen]) current = chosen;
  else current = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
  document.documentElement.lang = current;
}

// has reports whether there is such a text.
export const has = (key) => Object.hasOwn(texts[current], key);

// t returns a text with its {names} filled in.
export function t(key, values = {}) {
  const text = texts[current][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

// when returns a time in words: "20 May 2026, 14:03".
export function when(time) {
  return new Intl.DateTimeFormat(current, { dateStyle: "medium", timeStyle: "short" })
    .format(new Date(time));
}

// day returns a time's day in words.
export function day(time) {
  return new Intl.DateTimeFormat(current, { dateStyle: "medium" }).format(new Date(time));
}

// relativeTime returns the distance to a time in words: "in 3 days", "2 hours ago".
export function relativeTime(time) {
  const seconds = (new Date(time) - Date.now()) / 1000;
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const format = new Intl.RelativeTimeFormat(current, { numeric: "auto", style: "short" });
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return t("now");
}

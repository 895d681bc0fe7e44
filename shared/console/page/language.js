// The page's two languages, and dates in them.

const load = {
  "zh-CN": () => import("./text-zh-CN.js"),
  en: () => import("./text-en.js"),
};
const remembered = "bindery.language";

let current = "en";
let texts = {}; // of the current language

// language is "zh-CN" or "en".
export const language = () => current;

// chooseLanguage loads a language's texts, sets it and stores it. Without an argument it is the
// stored one, or else the browser's. The first one is set at once, for calls that don't wait for its
// texts. If the site's storage is blocked it throws after that.
export async function chooseLanguage(wanted) {
  let chosen = wanted;
  let blocked;
  try {
    chosen ??= localStorage.getItem(remembered);
  } catch (error) {
    blocked = error;
  }
  if (!Object.hasOwn(load, chosen ?? "")) {
    chosen = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
  }
  if (!has("title")) current = chosen;
  texts = (await load[chosen]()).default;
  current = chosen;
  document.documentElement.lang = chosen;
  if (wanted) localStorage.setItem(remembered, wanted);
  if (blocked) throw blocked;
}

// has reports whether there is such a text.
export const has = (key) => Object.hasOwn(texts, key);

// t returns a text with its {names} filled in.
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

// when returns a time in words, with its zone: "20 May 2026, 14:03 GMT+8".
export function when(time) {
  return new Intl.DateTimeFormat(current, {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
    timeZoneName: "short",
  }).format(new Date(time));
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

// The place that the page's address names: "#/REGION/INSTANCE" an instance, followed by "/PLATFORM"
// its row for a platform, and no fragment the overview of all instances.

const stored = "bindery.place";

// placeOf returns the place that a fragment names: {region, id, platform}, {} for the overview, or
// null if the fragment is of another form. Anything may stand in an address, so the values are only
// compared with what the account has, and never shown.
export function placeOf(fragment) {
  if (!fragment.startsWith("#/")) return null;
  try {
    const parts = fragment.slice(2).split("/").map(decodeURIComponent);
    if (parts.join("") === "") return {};
    const [region, id, platform] = parts;
    return parts.every(Boolean) && [2, 3].includes(parts.length) ? { region, id, platform } : null;
  } catch {
    return null; // a percent sign that begins no character
  }
}

// fragmentOf returns the fragment that names a place, "" for the overview.
export function fragmentOf({ region, id, platform } = {}) {
  if (!region) return "";
  return `#/${[region, id, platform].filter(Boolean).map(encodeURIComponent).join("/")}`;
}

// setPlace writes a place to the address, as a new entry of the history or in place of this one. The
// tab remembers it, because a sign-in or a consent returns to the address without a fragment.
export function setPlace(place, replace = false) {
  const fragment = fragmentOf(place);
  const to = location.pathname + location.search + fragment;
  if (fragment !== location.hash || location.href.endsWith("#")) {
    if (replace) history.replaceState(null, "", to);
    else history.pushState(null, "", to);
  }
  sessionStorage.setItem(stored, fragment);
}

// restorePlace writes the tab's last place to the address if the browser returns from a sign-in or a
// consent. Otherwise the address counts.
export function restorePlace(returns) {
  const last = placeOf(sessionStorage.getItem(stored) ?? "");
  const named = placeOf(location.hash);
  setPlace(named ?? (returns && last) ?? {}, true);
}

// What the page asks before its other modules and its texts have arrived: who is signed in, and then
// what the first view shows.

import { Api, bindingPath } from "./api.js";
import { pending, readCallback } from "./callback.js";
import { chooseLanguage } from "./language.js";
import { placeOf, restorePlace } from "./place.js";
import { openSignIn } from "./signin.js";

// elsewhere reports whether the page is opened at another origin than its own, from which the browser
// lets it call nothing.
export const elsewhere = ({ consoleUrl }) => consoleUrl !== location.origin;

// started is the beginning: {config, api, signIn, begun}. begun is whether a user is signed in.
export const started = start();
started.catch(() => {}); // the page shows why

async function start() {
  const answer = readCallback();
  restorePlace(answer || pending());
  const texts = chooseLanguage();
  const config = JSON.parse(document.querySelector("meta[name=bindery]").content);
  const signIn = openSignIn(config);
  const api = new Api(config.publicUrl, signIn);
  const begun = elsewhere(config) ? Promise.resolve(false) : signIn.begin(answer);
  begun.then((signedIn) => signedIn && ask(api), () => {});
  await texts;
  return { config, api, signIn, begun };
}

// ask asks for what the first view shows. What the address names is not known to exist yet.
function ask(api) {
  const { region, id } = placeOf(location.hash) ?? {};
  const named = [region, id].every((one) => /^\w[\w-]*$/.test(one ?? ""));
  api.ahead("/v1/platforms", "/v1/instances",
    named ? bindingPath({ region, id }) : "/v1/bindings");
}

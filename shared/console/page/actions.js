// What the buttons of the table do, and what ends an authorization.

import { start } from "./authorize.js";
import { bindToken } from "./bindtoken.js";

export { finish } from "./authorize.js";
export { repositories } from "./repositories.js";
export { check, history, unbind } from "./unbind.js";

// bind binds a platform in its way: by a token or by consent.
export const bind = (app, platform, draft) =>
  (app.platform(platform).method === "token" ? bindToken : start)(app, platform, draft);

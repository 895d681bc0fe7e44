// Choosing an instance in three steps: type, region, instance, each narrowing the next.

import { field } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./language.js";
import { instanceType, named, regionText } from "./parts.js";

// choice returns the three controls and what is chosen with them. It starts with the given
// instance, or with the first one. onchange is called after each change.
export function choice(instances, given, onchange) {
  const first = instances.find((one) => same(one, given)) ?? instances[0];
  const type = h("select", { id: "choose-type", onchange: () => changed("type") });
  const region = h("select", { id: "choose-region", onchange: () => changed("region") });
  const instance = h("select", { id: "choose-instance", onchange: () => onchange() });

  const ofType = () => instances.filter((one) => one.type === type.value);
  const ofRegion = () => ofType().filter((one) => one.region === region.value);

  function narrow(from) {
    if (from === "type") fill(region, unique(ofType(), "region"), regionText);
    fill(instance, unique(ofRegion(), "id"), (id) =>
      named(ofRegion().find((one) => one.id === id)));
  }

  function changed(from) {
    narrow(from);
    onchange();
  }

  fill(type, unique(instances, "type"), instanceType);
  if (first) {
    type.value = first.type;
    narrow("type");
    region.value = first.region;
    narrow("region");
    instance.value = first.id;
  }
  return {
    nodes: [
      field(type, t("choose.type")),
      field(region, t("choose.region")),
      field(instance, t("choose.instance")),
    ],
    instance: () => ofRegion().find((one) => one.id === instance.value),
  };
}

const same = (one, other) => one.region === other?.region && one.id === other?.id;
const unique = (instances, key) => [...new Set(instances.map((one) => one[key]))];

function fill(select, values, text) {
  select.replaceChildren(...values.map((value) => h("option", { value }, text(value))));
}

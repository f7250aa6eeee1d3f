/** The inputs of a page's settings, `#set-…` by their names in the address. */
import { element, problem } from "./frame";
import type { Link, Settings, SettingValues } from "./link";

/**
 * Fills inputs and selects from the address, and keeps it up to them; what is out of an input's
 * bounds is told and left out.
 * @param onChange Called after a value was set.
 */
export function mountSettings<S extends Settings, K extends keyof S & string>(
  link: Link<S>,
  names: readonly K[],
  onChange: () => void,
): void {
  for (const name of names) {
    const input = element<HTMLInputElement | HTMLSelectElement>(`set-${name}`);
    input.value = `${link.values[name]}`;
    input.onchange = () => {
      const isNumber = input instanceof HTMLInputElement;
      const good = !isNumber || (input.value !== "" && input.checkValidity());
      const { min = "", max = "" } = isNumber ? input : {};
      problem(good ? "" : `${name} must be a whole number from ${min} to ${max}`);
      if (!good) return;
      link.set(name, (isNumber ? Number(input.value) : input.value) as SettingValues<S>[K]);
      onChange();
    };
  }
}

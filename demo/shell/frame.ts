/** What all pages have around them: names of the pages, adapter, problems, theme, sources. */

/** The five pages, in order. */
const PAGES = [
  ["index.html", "Static"],
  ["spectrum.html", "Spectrum"],
  ["dynamic.html", "Dynamic"],
  ["family.html", "Family"],
  ["bench.html", "Bench"],
] as const;

/** An element of the page by its id. @throws Error where there is none. */
export function element<E extends Element = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found as unknown as E;
}

/** Sets an element's text. */
export function show(id: string, text: string): void {
  const found = element(id);
  if (found.textContent !== text) found.textContent = text;
}

/** A share as per cent, such as "97 %". */
export const percent = (share: number, digits = 0): string => `${(100 * share).toFixed(digits)} %`;

/** A whole number with separators, such as "12,544". */
export const whole = (value: number): string => Math.round(value).toLocaleString("en");

/** Shows a problem in some sentences, which get their full stops here, or with "" none. */
export function problem(...sentences: string[]): void {
  const ended = sentences.map((text) => (/(^|[.?!])$/.test(text) ? text : `${text}.`));
  show("problem", ended.join(" "));
}

/** Switches a button on or off and leaves it the focus, which a disabled one would lose. */
export function enable(button: HTMLElement, on: boolean): void {
  button.setAttribute("aria-disabled", `${!on}`);
}

/** Names the adapter that trains. */
export function sayAdapter(adapter: { readonly name: string; readonly software: boolean }): void {
  const slow = ", a software adapter: no GPU is used, and a run takes minutes";
  show("adapter", `Adapter: ${adapter.name}${adapter.software ? slow : ""}.`);
}

/** Whether little motion is wanted. */
export const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

/** Calls back whenever the colours have changed. */
export function onTheme(change: () => void): void {
  document.addEventListener("themechange", change);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);
}

function applyTheme(theme: Theme): void {
  document.documentElement.style.colorScheme = theme === "auto" ? "light dark" : theme;
}

function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem("hyperloom-theme");
    return THEMES.find((theme) => theme === stored) ?? "auto";
  } catch {
    // No storage in some frames.
    return "auto";
  }
}

function themeButton(button: HTMLButtonElement): void {
  let theme = storedTheme();
  const say = (): void => {
    button.textContent = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme}`);
  };
  applyTheme(theme);
  say();
  button.onclick = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] as Theme;
    try {
      localStorage.setItem("hyperloom-theme", theme);
    } catch {
      // It holds for this page, then.
    }
    applyTheme(theme);
    say();
    document.dispatchEvent(new Event("themechange"));
  };
}

/**
 * Fills `header.site` and `footer.site`, and shows what was wrong in the link.
 * @param file This page's file, "spectrum.html" for instance.
 */
export function mountFrame(file: string, complaints: readonly string[] = []): void {
  const links = PAGES.map(([page, name]) => {
    const here = page === file ? ' aria-current="page"' : "";
    return `<li><a href="./${page}"${here}>${name}</a></li>`;
  });
  const [header, footer] = ["header.site", "footer.site"].map((query) =>
    document.querySelector(query),
  );
  if (!header || !footer) throw new Error("the page has no header.site or footer.site");
  header.innerHTML = `<a class="brand" href="./index.html">hyperloom</a>
    <nav aria-label="Pages"><ul>${links.join("")}</ul></nav>
    <button id="theme" type="button" class="quiet"></button>`;
  footer.innerHTML = `<p>Nothing is fetched from elsewhere or sent anywhere. The method:
    <cite>Ha, Dai, Le, <a href="https://arxiv.org/abs/1609.09106">HyperNetworks</a>, 2016</cite>.
    Curves are drawn by uPlot (<a href="./licences.txt">licence</a>).</p>`;
  themeButton(element("theme"));
  const refuse = (event: Event): void => {
    const { target } = event;
    if (!(target instanceof Element) || !target.closest('[aria-disabled="true"]')) return;
    event.stopImmediatePropagation();
    event.preventDefault();
  };
  document.addEventListener("click", refuse, { capture: true });
  if (complaints.length > 0) show("complaints", complaints.join(" "));
  // Another link to this page is another experiment.
  window.addEventListener("hashchange", () => location.reload());
}

/**
 * Fills `#source` with the file that computes the equations.
 * @param path Its path in the repository. @param text Its text, by a `?raw` import.
 */
export function mountSource(path: string, text: string): void {
  const details = element<HTMLDetailsElement>("source");
  for (const link of document.querySelectorAll<HTMLAnchorElement>('a[href="#source"]')) {
    // The address keeps the settings.
    link.onclick = (event) => {
      event.preventDefault();
      details.open = true;
      details.scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
      details.querySelector("summary")?.focus({ preventScroll: true });
    };
  }
  details.innerHTML = `<summary>The equations in code: <code></code></summary><pre></pre>`;
  for (const [query, content] of [
    ["code", path],
    ["pre", text],
  ] as const) {
    const found = details.querySelector(query);
    if (found) found.textContent = content;
  }
}

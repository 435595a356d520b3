// Light, dark, or as the system has it.

const CHOICES = ["system", "light", "dark"];
const KEY = "k2-theme";

const stored = () => {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system"; // storage is forbidden: the choice lasts as long as the page
  }
};

/** Let a button switch the theme; `onChange` is called when colours have changed. */
export function theme(button, onChange) {
  let chosen = stored();
  const apply = () => {
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    button.textContent = `Theme: ${chosen}`;
  };
  const next = () => {
    chosen = CHOICES[(CHOICES.indexOf(chosen) + 1) % CHOICES.length];
    try {
      localStorage.setItem(KEY, chosen);
    } catch {
      // as above
    }
    apply();
    onChange();
  };
  apply();
  button.addEventListener("click", next);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
  return next;
}

/* Loaded blocking in <head>, before anything is drawn, so that the wrong theme never flashes. */
(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try { return localStorage.getItem("winnow-theme"); } catch { return null; } // storage may be forbidden
  };
  const apply = () => {
    const choice = stored();
    const theme = choice === "dark" || choice === "light" ? choice : system.matches ? "dark" : "light";
    document.documentElement.setAttribute("data-bs-theme", theme);
    document.documentElement.dataset.themeChoice = choice || "auto";
    document.dispatchEvent(new CustomEvent("winnow:theme", { detail: theme }));
  };
  window.winnowTheme = (choice) => {
    try {
      if (choice === "auto") localStorage.removeItem("winnow-theme");
      else localStorage.setItem("winnow-theme", choice);
    } catch { /* the choice then lasts for this page only */ }
    apply();
    if (!stored() && choice !== "auto") document.documentElement.setAttribute("data-bs-theme", choice);
  };
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  apply();
})();

// <select data-scheme-choice> or radio buttons choose light, dark, or as the system says; the
// choice is posted by the form around it, and shown at once.
document.addEventListener("change", (event) => {
  const choice = event.target as HTMLInputElement | HTMLSelectElement;
  if (!choice.hasAttribute("data-scheme-choice")) return;
  const html = document.documentElement;
  if (choice.value === "light" || choice.value === "dark") html.dataset.scheme = choice.value;
  else delete html.dataset.scheme;
  document.dispatchEvent(new Event("scheme"));
});

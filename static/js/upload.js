/* The report replaces the progress when the import has ended. */
document.body.addEventListener("job-ended", () => location.reload());

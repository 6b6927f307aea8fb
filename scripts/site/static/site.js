// What is wider than the page scrolls: also by keyboard, in each browser.
const scrolling = new ResizeObserver((seen) => seen.forEach(({ target }) => {
  if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
  else target.removeAttribute("tabindex");
}));
const WIDE = "pre, .table-wrapper, .cell-output, .cell-output div:not([tabindex])";
document.querySelectorAll(WIDE).forEach((one) => scrolling.observe(one));

// Both sides of a page are landmarks, which need names.
for (const [side, name] of [[".sidebar-drawer", "All pages"], [".toc-drawer", "This page"]]) {
  document.querySelector(side)?.setAttribute("aria-label", name);
}

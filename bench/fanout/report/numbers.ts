/** A whole number, with commas. */
export function count(value: number): string {
  return Number.isNaN(value) ? "–" : Math.round(value).toLocaleString("en");
}

/** Two or three digits that matter. */
export function brief(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (value >= 100) return count(value);
  return value.toFixed(value >= 10 ? 0 : value >= 1 ? 1 : value >= 0.1 ? 2 : 3);
}

/** A share of one core. */
export function percent(share: number): string {
  return Number.isNaN(share) ? "–" : `${(share * 100).toFixed(0)} %`;
}

/** Takes what was measured. */
export interface Observer {
  /** Takes one value. */
  observe(value: number): void;
}

// The bytes by which JSON is read without making a text of it.

/** `"` */
export const QUOTE = 0x22;
/** `,` */
export const COMMA = 0x2C;
/** `:` */
export const COLON = 0x3A;
/** `[` */
export const OPEN_BRACKET = 0x5B;
/** `\` */
export const BACKSLASH = 0x5C;
/** `]` */
export const CLOSE_BRACKET = 0x5D;
/** `{` */
export const OPEN_BRACE = 0x7B;
/** `}` */
export const CLOSE_BRACE = 0x7D;

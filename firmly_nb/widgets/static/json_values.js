// JSON values as event_json.py writes them: what they say, where a text occurs in them, how they are
// shortened. Plain data in and out; json_tree.js draws it.

const MOST_CHILDREN = 100;
const MOST_SEARCHED = 200000;
const MOST_MATCHES = 1000;
const LONGEST_SHOWN = 300;
// The marks of event_json.py: a number as it was sent, words of ours, a text that begins so itself.
const NUMBER_MARK = "\ue000";
const NOTE_MARK = "\ue001";
const TEXT_MARK = "\ue002";
// What would turn the line round, or not be seen at all.
const UNSEEN =
  /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Find where a text occurs: paths of positions, in the order of the document, and if it is all. */
export function findInJson(value, query, most = MOST_MATCHES) {
  const wanted = query.toLowerCase();
  const found = [];
  const stack = [{ value, name: "", path: null }];
  let searched = 0;
  while (stack.length && wanted) {
    const { value: here, name, path } = stack.pop();
    searched += 1;
    if (searched > MOST_SEARCHED || found.length >= most) return { found, whole: false };
    if (isJsonMatch(here, name, wanted)) found.push(path);
    for (const child of childrenOf(here).reverse()) {
      stack.push({ value: child.value, name: child.name, path: { up: path, index: child.index } });
    }
  }
  return { found, whole: true };
}

/** Group the children of a value: themselves, or ranges where they are more than a hundred. */
export function groupsOf(first, end) {
  const count = end - first;
  let size = 1;
  while (count / size > MOST_CHILDREN) size *= MOST_CHILDREN;
  const groups = [];
  for (let at = first; at < end; at += size) {
    groups.push({ first: at, end: Math.min(at + size, end) });
  }
  return groups;
}

/** Write a leaf as JSON, with what cannot be seen as escapes. */
export function leafText(value) {
  if (typeof value !== "string") return String(value);
  if (value.startsWith(NUMBER_MARK) || value.startsWith(NOTE_MARK)) return value.slice(1);
  return visibleText(JSON.stringify(plainText(value)));
}

/** Split a text at what is searched for, for highlighting. */
export function splitAtMatches(text, query) {
  if (!query) return [{ text, match: false }];
  const parts = [];
  const lower = text.toLowerCase();
  // Lower case can be longer than the text (in Turkish): then nothing is highlighted.
  if (lower.length !== text.length) return [{ text, match: false }];
  const wanted = query.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    if (at > from) parts.push({ text: text.slice(from, at), match: false });
    parts.push({ text: text.slice(at, at + wanted.length), match: true });
    from = at + wanted.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from), match: false });
  return parts;
}

/** Count the children of a value; null where it cannot have any. */
export function countOfJson(value) {
  if (!isBranch(value)) return null;
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

/** Name the kind of a leaf, for its looks. */
export function kindOfJson(value) {
  if (value === null) return "null";
  if (typeof value !== "string") return typeof value;
  if (value.startsWith(NUMBER_MARK)) return "number";
  return value.startsWith(NOTE_MARK) ? "note" : "string";
}

/** Take off the mark of a text that begins like a mark. */
export function plainText(text) {
  return text.startsWith(TEXT_MARK) ? text.slice(1) : text;
}

/** Write what cannot be seen, or turns the line round, as escapes. */
export function visibleText(text) {
  return text.replace(UNSEEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Shorten a long text. */
export function clipText(text) {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** Shorten a long text, to the part that is searched for. */
export function clipTextAround(text, query) {
  const at = query ? text.toLowerCase().indexOf(query.toLowerCase()) : -1;
  if (at < LONGEST_SHOWN / 2) return clipText(text);
  return `…${clipText(text.slice(at - LONGEST_SHOWN / 4))}`;
}

function childrenOf(value) {
  if (Array.isArray(value)) return value.map((each, index) => ({ value: each, name: "", index }));
  if (!isBranch(value)) return [];
  return Object.keys(value).map((name, index) => ({ value: value[name], name, index }));
}

function isJsonMatch(value, name, wanted) {
  if (plainText(name).toLowerCase().includes(wanted)) return true;
  if (isBranch(value)) return false;
  const text = typeof value === "string" ? value.replace(/^[\ue000-\ue002]/, "") : String(value);
  return text.toLowerCase().includes(wanted);
}

function isBranch(value) {
  return typeof value === "object" && value !== null;
}

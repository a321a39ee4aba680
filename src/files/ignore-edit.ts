/** Changes the lines of a `.skeinignore`: adds patterns at the end, takes lines out. Everything else stays as it is. */

export interface IgnoreEdit {
  readonly add: readonly string[]
  /** Lines as they stand in the file. */
  readonly remove: readonly string[]
}

export interface EditedIgnore {
  readonly text: string
  /** Of `remove`, what no line is. */
  readonly missing: readonly string[]
}

/** The rules in a text, with the numbers of their lines. Comments and empty lines are none. */
export function listPatterns(text: string): readonly { readonly line: number; readonly pattern: string }[] {
  return splitText(text).flatMap((pattern, index) =>
    pattern.trim() === '' || pattern.startsWith('#') ? [] : [{ line: index + 1, pattern }],
  )
}

/** Pure. What is there already is not added again. */
export function editIgnore(text: string, { add, remove }: IgnoreEdit): EditedIgnore {
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n'
  const lines = splitText(text)
  const missing = remove.filter((pattern) => !lines.includes(pattern))
  const kept = lines.filter((line) => !remove.includes(line))
  for (const pattern of add) if (!kept.includes(pattern)) kept.push(pattern)
  const isSame = kept.length === lines.length && kept.every((line, index) => line === lines[index])
  if (isSame) return { text, missing }
  return { text: kept.length === 0 ? '' : kept.join(lineEnd) + lineEnd, missing }
}

const splitText = (text: string): readonly string[] => {
  const lines = text.split(/\r?\n/)
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}

/** The verbs about `.skeinignore`: what it says, changing it, and which rule decides about a path. */
import { join } from 'node:path'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { editIgnore, listPatterns } from '../files/ignore-edit.ts'
import { parseIgnoreRules } from '../files/ignore.ts'
import { ignoreFile, isInternal } from '../files/names.ts'
import { placeOwn } from '../files/place-own.ts'
import { readText } from '../files/text-diff.ts'
import type { SpaceSetting } from '../crdt/settings.ts'
import type { PeerApi } from './api.ts'
import { locate } from './space-paths.ts'
import type { Joined, Shelf } from './space-shelf.ts'

export interface IgnoreVerbParts {
  readonly shelf: Shelf
  readonly find: (space: string) => Promise<SpaceSetting>
}

type IgnoreVerbs = Pick<PeerApi, 'ignore' | 'ignoreCheck'>

/** As much as the folder itself reads (files/ignore-reader.ts). */
const maxBytes = 1024 * 1024

export function createIgnoreVerbs(env: Env, { shelf, find }: IgnoreVerbParts): IgnoreVerbs {
  return {
    async ignore({ space, add = [], remove = [] }) {
      const { id: spaceId, name } = await find(space)
      const held = shelf.joined.get(spaceId)
      if (held === undefined)
        throw new SkeinError('not.found', `the space ${name} does not lie on this device`, {
          fix: `skein join ${name} DIR`,
        })
      const before = await readRules(held)
      for (const pattern of add) checkPattern(pattern)
      const { text, missing } = editIgnore(before, { add, remove })
      const [lost] = missing
      if (lost !== undefined)
        throw new SkeinError('not.found', `no line of ${ignoreFile} is ${JSON.stringify(lost)}`, {
          fix: `skein ignore ${name} lists them`,
        })
      if (text !== before) await write(env, held, text)
      const file = join(held.directory, ignoreFile)
      return { spaceId, file, patterns: listPatterns(text), changed: text !== before }
    },
    async ignoreCheck({ path: given }) {
      const { held, path } = await locate(shelf.joined.values(), given)
      const file = join(held.directory, ignoreFile)
      const { spaceId } = held
      if (path === '') return { spaceId, path, isIgnored: false, isReserved: false }
      if (path.split('/').some(isInternal)) return { spaceId, path, isIgnored: true, isReserved: true }
      const isDirectory = (await held.filesystem.lstat(path))?.kind === 'directory' || given.endsWith('/')
      const found = parseIgnoreRules(await readRules(held)).explain(path, isDirectory)
      if (found === undefined) return { spaceId, path, isIgnored: false, isReserved: false }
      const { isIgnored, line, pattern, matched } = found
      return { spaceId, path, isIgnored, rule: { file, line, pattern }, matched, isReserved: false }
    },
  }
}

async function readRules({ filesystem }: Joined): Promise<string> {
  const stat = await filesystem.lstat(ignoreFile)
  if (stat === undefined) return ''
  const small = stat.kind === 'file' ? await filesystem.readSmall(ignoreFile, maxBytes) : undefined
  const text = small && readText(small.bytes)
  if (text === undefined)
    throw new SkeinError('file.unsupported', `${ignoreFile} is no text file of at most ${maxBytes} bytes`, {
      fix: 'replace it by a text file with one pattern a line',
    })
  return text
}

async function write(env: Env, held: Joined, text: string): Promise<void> {
  const { filesystem, versions, open } = held
  const parts = { filesystem, versions, random: env.random }
  await placeOwn(parts, { path: ignoreFile, cause: 'replaced' }, async (staged) => {
    const mtimeNs = BigInt(Math.round(env.clock.nowMs())) * 1_000_000n
    await filesystem.createSmall(staged, new TextEncoder().encode(text), { mode: 0o644, mtimeNs })
    await filesystem.syncAll([staged], [])
  })
  open?.folder.rescan()
}

function checkPattern(pattern: string): void {
  if (/\S/.test(pattern) && !/[\r\n\0]/.test(pattern) && !pattern.startsWith('#')) return
  throw new SkeinError('usage', `${JSON.stringify(pattern)} is no pattern`, {
    fix: "one line in gitignore syntax, such as 'node_modules/' or '*.log'; a leading # is written \\#",
  })
}

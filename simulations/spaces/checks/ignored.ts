/**
 * P28: what the rules of a device leave out enters no document by it, and once all is at rest the rules are the same
 * everywhere (the pictures of all devices hold the file with the rules). P14: what is left out stays where it is, whatever
 * others do to the directory that it lies in; only its own person moves it.
 */
import { isWithin, joinPath } from '../../../src/files/filesystem.ts'
import type { FolderTree } from '../../../src/files/folder-tree.ts'
import { type IgnoreRules, parseIgnoreRules } from '../../../src/files/ignore.ts'
import { ignoreFile } from '../../../src/files/names.ts'
import type { SpaceDevice } from '../device.ts'
import { type Picture, takePicture } from '../picture.ts'

export interface IgnoredCheck {
  /** What stands there now and is left out has to stay, until the person acts again or the rules change. */
  observe(device: SpaceDevice): Promise<void>
  /** Her own act, or other rules: what follows from that is not looked at. */
  forget(device: SpaceDevice): void
  /** @throws when something that is left out is not there any more. */
  check(device: SpaceDevice): Promise<void>
  /** The tree, with an eye on what the device sends: what its rules leave out, now and at the last rest, is none of it. */
  watch(device: SpaceDevice, tree: FolderTree): FolderTree
}

export function createIgnoredCheck(onFault: (what: string) => void): IgnoredCheck {
  const left = new Map<SpaceDevice, { readonly rules: string; readonly picture: Picture }>()
  const lastRules = new Map<SpaceDevice, string>()
  return {
    async observe(device) {
      const picture = await takePicture(device.disk)
      const rules = rulesOf(picture)
      const ignored = [...picture].filter(([path, what]) => isIgnored(rules, path, what))
      lastRules.set(device, picture.get(ignoreFile) ?? '')
      left.set(device, { rules: picture.get(ignoreFile) ?? '', picture: new Map(ignored) })
    },
    forget: (device) => void left.delete(device),
    async check(device) {
      const before = left.get(device)
      if (before === undefined) return
      const now = await takePicture(device.disk)
      if ((now.get(ignoreFile) ?? '') !== before.rules) return
      checkStays(device.name, before.picture, now)
    },
    watch: (device, tree) =>
      Object.assign(Object.create(tree) as FolderTree, {
        // because: the prototype is the tree itself
        commit: async (...[changes, rows]: Parameters<FolderTree['commit']>) => {
          const created = changes.filter((change) => change.kind === 'create')
          const results = await tree.commit(changes, rows)
          const picture = created.length === 0 ? new Map<string, string>() : await takePicture(device.disk)
          const text = picture.get(ignoreFile)
          if (text === undefined || lastRules.get(device) !== text) return results
          const rules = rulesOf(picture)
          for (const { parentId, name, data } of created) {
            const parent = await pathOf(tree, parentId)
            const path = joinPath(parent ?? '', name)
            if (parent !== undefined && rules.ignores(path, data.kind === 'directory'))
              onFault(`${device.name} sent ${JSON.stringify(path)}, which its rules leave out`)
          }
          return results
        },
      }),
  }
}

async function pathOf(tree: FolderTree, id: string): Promise<string | undefined> {
  if (id === tree.rootId) return ''
  const [entry] = await tree.entries(id)
  const parent = entry && (await pathOf(tree, entry.parentId))
  return entry === undefined || parent === undefined ? undefined : joinPath(parent, entry.name)
}

/** @throws when one of these is gone or changed. */
export function checkStays(name: string, before: Picture, now: Picture): void {
  for (const [path, what] of before) {
    if (now.get(path) !== what)
      throw new Error(`${name} left out ${JSON.stringify(path)} (${what}), and made ${now.get(path)} of it`)
  }
}

/** The rules that a tree carries, as its devices read them. Contents up to 256 bytes are their own keys. */
export const rulesOf = (picture: Picture): IgnoreRules => {
  const what = picture.get(ignoreFile) ?? ''
  const isFile = what !== 'dir' && !what.startsWith('-> ')
  return parseIgnoreRules(isFile ? what.replace(/^\*/, '') : '')
}

export const isIgnored = (rules: IgnoreRules, path: string, what: string): boolean =>
  rules.ignores(path, what === 'dir')

/**
 * The picture without what its own rules leave out, and without directories that others deleted and that stay on this disk
 * alone for what is left out in them (P14).
 */
export async function withoutIgnored(
  { space }: Pick<SpaceDevice, 'space'>,
  picture: Picture,
): Promise<Picture> {
  const rules = rulesOf(picture)
  const shared = new Map([...picture].filter(([path, what]) => !isIgnored(rules, path, what)))
  for (const [path, what] of [...shared].reverse()) {
    if (what !== 'dir') continue
    const isOtherBelow = (other: string): boolean => other !== path && isWithin(other, path)
    const holds = [...picture.keys()].filter(isOtherBelow)
    if (holds.length === 0 || holds.some((other) => shared.has(other))) continue
    if ((await space?.lookup(path.normalize('NFC'))) === undefined) shared.delete(path)
  }
  return shared
}

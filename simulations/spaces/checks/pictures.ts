/**
 * What every device shows once all is at rest.
 * P1, P3, P30, I1, I4: the same tree with the same bytes, bits and link texts on every device, whatever order, partition or
 * repetition messages came in. P19, I3: each path once, no parked or staged file left. P20: a disk that takes two names for
 * one shows a part of it, and lists problems for as long as it lacks anything.
 * P13, I5, P11: after an act alone every device shows exactly what the acting one showed: nothing came back, nothing
 * was lost, no conflict copy.
 */
import { isInternal } from '../../../src/files/names.ts'
import { isWithin, joinPath, nameOf } from '../../../src/files/filesystem.ts'
import { createSpaceFolderTree } from '../../../src/files/space-folder-tree.ts'
import type { SpaceDevice } from '../device.ts'
import { type Picture, takePicture } from '../picture.ts'

export const isFolding = ({ habits }: SpaceDevice): boolean => habits.caseInsensitive || habits.decomposes

/** @param shared what of a device's picture is there for all. @returns the picture that all devices show. @throws when they differ. */
export async function checkPictures(
  devices: readonly SpaceDevice[],
  shared: (device: SpaceDevice, picture: Picture) => Picture | Promise<Picture> = (_device, picture) =>
    picture,
): Promise<Picture> {
  const pictures = new Map<SpaceDevice, Picture>()
  for (const device of devices)
    pictures.set(device, await shared(device, await documentNames(device, await takePicture(device.disk))))
  for (const [device, picture] of pictures) {
    for (const path of picture.keys())
      if (isInternal(nameOf(path))) throw new Error(`${device.name} left ${JSON.stringify(path)} behind`)
  }
  const plain = devices.filter((device) => !isFolding(device))
  const [first] = plain
  const whole = first === undefined ? undefined : pictures.get(first)
  for (const device of plain) {
    const difference = differenceOf(whole, pictures.get(device))
    if (difference !== undefined) throw new Error(`${first?.name} and ${device.name} differ: ${difference}`)
  }
  for (const device of devices.filter(isFolding)) checkPart(device, whole, pictures.get(device))
  return whole ?? new Map()
}

/**
 * @param isMerged whether these versions of a path merge to that content: an act on one of several that stand side by side may
 * be what makes them mergeable, and then one file is shown.
 * @throws when the devices do not show what the acting one showed.
 */
export function checkAlone(
  expected: Picture,
  shown: Picture,
  isMerged: (path: string, sides: readonly string[], merged: string) => boolean,
): void {
  const [before, after] = [withoutSuffixes(expected), withoutSuffixes(shown)]
  const left = copiesOf(shown)
  for (const [path, sides] of copiesOf(expected)) {
    const whats = left.get(path) ?? []
    const gone = sides.filter((side) => !whats.includes(side))
    const isResult = (merged: string): boolean =>
      whats.every((what) => what === merged || sides.includes(what)) &&
      subsetsOf(sides).some(
        (some) =>
          gone.every((side) => some.includes(side)) &&
          isMerged(path, some.map(plainContent), plainContent(merged)),
      )
    if (gone.length > 0 && whats.some(isResult)) before.set(path, after.get(path) ?? '')
  }
  // A copy whose winner got another name or went follows it, or takes the name: then contents alone are compared
  const isOrphan = [...expected.keys()].some(
    (path) => plainPath(path) !== path && !expected.has(plainPath(path)),
  )
  const difference = isOrphan ? contentDifference(expected, shown) : differenceOf(before, after)
  if (difference !== undefined) throw new Error(`an act alone did not come through as it was: ${difference}`)
}

const plainPath = (path: string): string => path.replace(/ \(conflict [0-9a-z]{6}(?: \d+)?\)/g, '')

function contentDifference(a: Picture, b: Picture): string | undefined {
  const [left, right] = [[...a.values()].sort().join('; '), [...b.values()].sort().join('; ')]
  return left === right ? undefined : `${left} and ${right}`
}

/** Conflict copies get their names by what else stands in their directory: an act beside them may change those. */
function withoutSuffixes(picture: Picture): Map<string, string> {
  return new Map([...copiesOf(picture)].map(([path, whats]) => [path, whats.toSorted().join(' and ')]))
}

/** What has a claim to a path. */
function copiesOf(picture: Picture): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, string[]>()
  for (const [path, what] of picture) {
    const plain = plainPath(path).normalize('NFC')
    all.set(plain, [...(all.get(plain) ?? []), what])
  }
  return all
}

/** Those with two at least; of many only all of them. */
function subsetsOf<T>(all: readonly T[]): readonly (readonly T[])[] {
  if (all.length > 6) return [all]
  const subsets = Array.from({ length: 2 ** all.length }, (_, bits) =>
    all.filter((_one, index) => ((bits >> index) & 1) === 1),
  )
  return subsets.filter((some) => some.length > 1)
}

const plainContent = (what: string): string => (what.startsWith('*') ? what.slice(1) : what)

/** The first difference, told with both sides. */
export function differenceOf(a: Picture | undefined, b: Picture | undefined): string | undefined {
  for (const path of [...new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])].sort()) {
    const [left, right] = [a?.get(path), b?.get(path)]
    if (left !== right)
      return `${JSON.stringify(path)} is ${JSON.stringify(left)} and ${JSON.stringify(right)}`
  }
  return undefined
}

/** Paths as the document has them: in one Unicode form, and of two files with one name in two forms one has another name. */
export async function documentNames(device: SpaceDevice, picture: Picture): Promise<Picture> {
  const isPlain = [...picture.keys()].every((path) => path.normalize('NFC') === path)
  const names = isPlain ? new Map<string, string>() : await namesByPath(device)
  const named = new Map<string, string>()
  for (const [path, what] of picture) {
    const name = names.get(path) ?? path.normalize('NFC')
    if (named.has(name)) throw new Error(`${device.name} has ${JSON.stringify(name)} twice`)
    named.set(name, what)
  }
  return named
}

async function namesByPath({ space }: SpaceDevice): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  if (space === undefined) return names
  const tree = await createSpaceFolderTree(space)
  const walk = async (parentId: string, path: string, named: string): Promise<void> => {
    for (const row of await tree.rows(parentId)) {
      if (row.parentId === '') continue
      const [below, name] = [joinPath(path, row.diskName), joinPath(named, row.name)]
      names.set(below, name)
      if (row.kind === 'directory') await walk(row.nodeId, below, name)
    }
  }
  await walk(tree.rootId, '', '')
  return names
}

/** Directories that somebody deleted and that are shown only for what is in them: with the last of it they go. */
export async function ghostsOf({ space, disk }: SpaceDevice): Promise<ReadonlySet<string>> {
  const ghosts = new Set<string>()
  for (const [path, what] of await takePicture(disk)) {
    if (what !== 'dir') continue
    const entry = await space?.lookup(path.normalize('NFC'))
    if (entry?.data.kind === 'tombstone') ghosts.add(path)
  }
  return ghosts
}

export function withoutGhosts(picture: Picture, ghosts: ReadonlySet<string>): Picture {
  const left = new Map(picture)
  for (const path of [...ghosts].toSorted().toReversed())
    if (![...left.keys()].some((other) => other !== path && isWithin(other, path))) left.delete(path)
  return left
}

function checkPart(device: SpaceDevice, whole: Picture | undefined, picture: Picture | undefined): void {
  if (whole === undefined || picture === undefined) return
  // A rename that cannot be followed is told at the place where the file still stands
  const problems = device.folder?.status().problems.map(({ path }) => path) ?? []
  for (const [path, what] of whole) {
    if (picture.get(path) !== what && problems.length === 0)
      throw new Error(
        `${device.name} lacks ${JSON.stringify(path)} without a word: ${JSON.stringify(problems)}`,
      )
  }
}

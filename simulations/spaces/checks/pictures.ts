/**
 * What every device shows once all is at rest.
 * P1, P3, P30, I1, I4: the same tree with the same bytes, bits and link texts on every device, whatever order, partition or
 * repetition messages came in. P19, I3: each path once, no parked or staged file left. P20: a disk that takes two names for
 * one shows a part of it, and lists problems for as long as it lacks anything.
 * P13, I5, P11: after an act alone every device shows exactly what the acting one showed: nothing came back, nothing
 * was lost, no conflict copy.
 */
import { isInternal } from '../../../src/files/names.ts'
import { nameOf } from '../../../src/files/filesystem.ts'
import type { SpaceDevice } from '../device.ts'
import { type Picture, takePicture } from '../picture.ts'

export const isFolding = ({ habits }: SpaceDevice): boolean => habits.caseInsensitive || habits.decomposes

/** @returns the picture that all devices show. @throws when they differ. */
export async function checkPictures(devices: readonly SpaceDevice[]): Promise<Picture> {
  const pictures = new Map<SpaceDevice, Picture>()
  for (const device of devices) pictures.set(device, documentNames(device, await takePicture(device.disk)))
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

/** @throws when the devices do not show what the acting one showed. */
export function checkAlone(expected: Picture, shown: Picture): void {
  const [before, after] = [withoutSuffixes(expected), withoutSuffixes(shown)]
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
function withoutSuffixes(picture: Picture): Picture {
  const all = new Map<string, string[]>()
  for (const [path, what] of picture) {
    const plain = plainPath(path).normalize('NFC')
    all.set(plain, [...(all.get(plain) ?? []), what])
  }
  return new Map([...all].map(([path, whats]) => [path, whats.sort().join(' and ')]))
}

/** The first difference, told with both sides. */
export function differenceOf(a: Picture | undefined, b: Picture | undefined): string | undefined {
  for (const path of [...new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])].sort()) {
    const [left, right] = [a?.get(path), b?.get(path)]
    if (left !== right)
      return `${JSON.stringify(path)} is ${JSON.stringify(left)} and ${JSON.stringify(right)}`
  }
  return undefined
}

/** Paths as the document has them. Of two forms of one name the second is not synced, which the device has to say. */
function documentNames(device: SpaceDevice, picture: Picture): Picture {
  const problems = new Set(device.folder?.status().problems.map(({ path }) => path))
  const named = new Map<string, string>()
  for (const [path, what] of picture) {
    const name = path.normalize('NFC')
    if (named.has(name) && !problems.has(path))
      throw new Error(`${device.name} shows ${JSON.stringify(name)} twice without a word`)
    if (!named.has(name)) named.set(name, what)
  }
  return named
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

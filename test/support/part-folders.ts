/** What folders that take a part of a space show, and what they say of it. */
import { type Device, picture, until } from './two-folders.ts'

/** Every path of the document. */
export const names = async (device: Device): Promise<readonly string[]> => {
  const found: string[] = []
  for await (const entry of device.space.walk()) found.push(entry.path)
  return found.sort()
}
/** What was changed here and is not sent. */
export const changesOf = ({ folder }: Device): readonly string[] =>
  folder.part.changes.some(100).map(({ change, path }) => `${change} ${path}`)
export const shows = (device: Device, expected: Readonly<Record<string, string>>): Promise<void> =>
  until(async () => JSON.stringify(await picture(device.root)) === JSON.stringify(expected), [device])
export const rests = (...devices: readonly Device[]): Promise<void> =>
  until(() => devices.every(({ folder }) => folder.status().state === 'in-sync'), devices)
/** It rests, and lists exactly these local changes. */
export const tells = (device: Device, changes: readonly string[]): Promise<void> =>
  until(
    () => changesOf(device).join() === changes.join() && device.folder.status().state === 'in-sync',
    [device],
  )

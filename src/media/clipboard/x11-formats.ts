/** The formats of a copy and the names (targets) that X programs have for them. */
import { concealmentMarks } from './concealment.ts'

/** What says "Skein offered this": its own copies are not taken back in, whichever process made them. */
export const originTarget = 'application/x-skein-origin'

interface FormatNames {
  readonly mime: string
  /** In the order of preference when reading; all are offered. */
  readonly targets: readonly string[]
}

const formatNames: readonly FormatNames[] = [
  {
    mime: 'text/plain',
    targets: [
      'UTF8_STRING',
      'text/plain;charset=utf-8',
      'text/plain;charset=UTF-8',
      'text/plain',
      'STRING',
      'TEXT',
    ],
  },
  { mime: 'text/html', targets: ['text/html'] },
  { mime: 'text/rtf', targets: ['text/rtf', 'application/rtf', 'text/richtext'] },
  { mime: 'image/png', targets: ['image/png'] },
  { mime: 'text/uri-list', targets: ['text/uri-list'] },
  { mime: 'x-special/gnome-copied-files', targets: ['x-special/gnome-copied-files'] },
]

/** Latin-1, for old programs: read where nothing better is there. */
export const latinTarget = 'STRING'

const protocolAtoms = [
  'CLIPBOARD',
  'TARGETS',
  'TIMESTAMP',
  'MULTIPLE',
  'SAVE_TARGETS',
  'INCR',
  'ATOM',
] as const
const otherAtoms = ['ATOM_PAIR', 'INTEGER', 'NULL', 'SKEIN_DATA', originTarget] as const

export const atomNames: readonly string[] = [
  ...protocolAtoms,
  ...otherAtoms,
  ...concealmentMarks,
  ...formatNames.flatMap(({ targets }) => targets),
]

export interface WantedTarget {
  readonly mime: string
  readonly target: string
}

/** @param offered the targets a program lists. @returns one target for each format that is carried. */
export function chooseTargets(offered: ReadonlySet<string>): readonly WantedTarget[] {
  return formatNames.flatMap(({ mime, targets }) => {
    const target = targets.find((name) => offered.has(name))
    return target === undefined ? [] : [{ mime, target }]
  })
}

/** The names under which a format is offered. */
export function targetsOf(mime: string): readonly string[] {
  return formatNames.find((one) => one.mime === mime)?.targets ?? [mime]
}

/** What was read from `target` as the content of its format. */
export function decodeTarget(target: string, content: Uint8Array): Uint8Array {
  return target === latinTarget ? new TextEncoder().encode(Buffer.from(content).toString('latin1')) : content
}

/** What is handed out under `target`. Latin-1 has no more than its 256 characters: others become `?`. */
export function encodeTarget(target: string, content: Uint8Array): Uint8Array {
  if (target !== latinTarget) return content
  const isLatin = (character: string): boolean => (character.codePointAt(0) ?? 0) <= 0xff
  const characters = Array.from(new TextDecoder().decode(content), (one) => (isLatin(one) ? one : '?'))
  return Buffer.from(characters.join(''), 'latin1')
}

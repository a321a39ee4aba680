/** Activity: what needs a person, and what happened. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { EventItem, Problem } from '../../peer/api.ts'
import { formatSize } from '../../base/quantities.ts'
import { formatTime } from './format.ts'
import { noticeState, switchNotices, tell, tellNew } from './notices.ts'
import { Card, Cli, Empty, Said } from './parts.tsx'
import type { PageState } from './store.ts'

interface Need {
  readonly text: string
  readonly fix?: string | undefined
  readonly view?: string
}

const needOf = ({ message, fix }: Problem): Need => ({ text: message, fix })

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`

function needsOf({ status }: PageState): readonly Need[] {
  if (status === undefined) return []
  return [
    ...status.problems.map(needOf),
    ...status.spaces.flatMap((space): readonly Need[] => [
      ...(space.conflictCount > 0
        ? [
            {
              text: `"${space.name}" has ${count(space.conflictCount, 'conflict')}: choose a version`,
              view: 'spaces',
            },
          ]
        : []),
      ...((space.heldDeletionCount ?? 0) > 0
        ? [
            {
              text: `"${space.name}" holds ${count(space.heldDeletionCount ?? 0, 'deletion')} back`,
              view: 'spaces',
            },
          ]
        : []),
      ...(space.state === 'error'
        ? [{ text: `"${space.name}": ${space.reason ?? 'it has failed'}`, view: 'spaces' }]
        : []),
      ...((space.problemCount ?? 0) > 0
        ? [
            {
              text: `${count(space.problemCount ?? 0, 'file')} of "${space.name}" cannot be synced`,
              view: 'spaces',
            },
          ]
        : []),
    ]),
  ]
}

export const countNeeds = (page: PageState): number => needsOf(page).length

/** What a notification is to tell of: needs, and devices that ask to join. */
export function useNotices(page: PageState): void {
  const needs = needsOf(page).map(({ text, view = 'activity' }) => ({ text, view }))
  const words = needs.map(({ text }) => text).join('\n')
  const isKnown = page.status !== undefined
  useEffect(() => void (isKnown && tellNew(needs)), [isKnown, words])
  const [asked] = page.events.filter(({ name }) => name === 'pair.requested')
  const first = useRef(asked)
  useEffect(() => {
    const isRecent = asked !== undefined && Date.now() - asked.atMs < requestAgeMs
    if (asked === first.current || !isRecent) return
    tell({ text: `"${nameOf(asked)}" wants to join the mesh`, view: 'devices' })
  }, [asked])
}

/** Who asks, by its own account. */
function nameOf({ data }: EventItem): string {
  const fields: Readonly<Record<string, unknown>> = data
  return String(fields['name'])
}

/** A request is answered within this, or is over. */
const requestAgeMs = 60_000

/** Switches notifications of this browser. */
function Notices(): JSX.Element | null {
  const [state, setState] = useState(noticeState)
  if (state === 'unsupported') return null
  if (state === 'blocked')
    return (
      <p class="quiet" data-notices={state}>
        This browser blocks notifications of this page; its settings for the page allow them again.
      </p>
    )
  const isOn = state === 'on'
  return (
    <p class="quiet" data-notices={state}>
      {isOn
        ? 'This browser tells you while a page of the console is open. '
        : 'This browser can tell you of conflicts, requests and problems while a page of the console is open. '}
      <button type="button" class="plain" onClick={() => void switchNotices(!isOn).then(setState)}>
        {isOn ? 'Stop telling me' : 'Notify me'}
      </button>
    </p>
  )
}

export function Activity({ page }: { readonly page: PageState }): JSX.Element {
  const needs = needsOf(page)
  return (
    <>
      <Card title="Needs you">
        {needs.length === 0 ? (
          <p class="quiet">● Nothing. What needs a decision shows here.</p>
        ) : (
          <ul class="list">
            {needs.map((need) => (
              <li key={need.text}>
                ▲ <Said text={need.text} />
                {need.fix !== undefined && (
                  <>
                    {' '}
                    Fix: <Said text={need.fix} />
                  </>
                )}
                {need.view !== undefined && (
                  <>
                    {' '}
                    <a href={`#${need.view}`}>Go there</a>
                  </>
                )}
              </li>
            ))}
          </ul>
        )}
        <Notices />
      </Card>
      <Card title="Events">
        <Cli line="skein events" />
        {page.droppedCount > 0 && <p class="quiet">{page.droppedCount} more went by too fast to show.</p>}
        {page.events.length === 0 && (
          <Empty title="Nothing has happened since the peer started">
            <p>Links, devices, folders and the clipboard are told of here as they change.</p>
          </Empty>
        )}
        <ol class="log">
          {page.events.map((event, index) => (
            <Line key={`${event.atMs} ${page.events.length - index}`} event={event} page={page} />
          ))}
        </ol>
      </Card>
    </>
  )
}

/** Units are in the keys. */
const say = (key: string, value: unknown): string =>
  key.endsWith('AtMs')
    ? formatTime(Number(value))
    : key.endsWith('Bytes')
      ? formatSize(Number(value))
      : String(value)

/** Devices and folders by name where they are known; the rest as it is. */
function Line({ event, page }: { readonly event: EventItem; readonly page: PageState }): JSX.Element {
  const names = new Map<unknown, string>([
    ...(page.status?.links ?? []).map((link) => [link.deviceId, link.name] as const),
    ...(page.status?.spaces ?? []).map((space) => [space.id, space.name] as const),
    [page.status?.deviceId, 'this device'],
  ])
  const fields = Object.entries(event.data)
  return (
    <li>
      <time>{formatTime(event.atMs)}</time> <strong>{event.name}</strong>{' '}
      {fields.map(([key, value]) => (
        <span key={key} class="field">
          <span class="quiet">{key.replace(/Id$|AtMs$|Bytes$/, '')}</span>{' '}
          <Said text={names.get(value) ?? say(key, value)} />
        </span>
      ))}
    </li>
  )
}

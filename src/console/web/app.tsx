/** The frame: which view is shown, whether the page is live, and what to do when it has no session. */
import type { FunctionComponent, JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Activity, countNeeds, useNotices } from './activity.tsx'
import { ClipboardView } from './clipboard.tsx'
import { Devices } from './devices.tsx'
import { Doctor } from './doctor.tsx'
import { Metrics } from './metrics.tsx'
import { Cli, Said } from './parts.tsx'
import { Security } from './security.tsx'
import { endSession } from './session.ts'
import { Spaces } from './spaces.tsx'
import type { Connection, PageState } from './store.ts'
import { usePage } from './store.ts'

const views: Readonly<Record<string, readonly [string, FunctionComponent<{ readonly page: PageState }>]>> = {
  devices: ['Devices', Devices],
  spaces: ['Spaces', Spaces],
  clipboard: ['Clipboard', ClipboardView],
  activity: ['Activity', Activity],
  metrics: ['Metrics', Metrics],
  security: ['Security', Security],
  doctor: ['Doctor', Doctor],
}

const nameInAddress = (): string => {
  const name = location.hash.slice(1)
  return Object.hasOwn(views, name) ? name : 'devices'
}

export function App(): JSX.Element {
  const page = usePage()
  const [name, setName] = useState(nameInAddress)
  useEffect(() => {
    const follow = (): void => setName(nameInAddress())
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  const isLive = page.connection === 'live' && page.status !== undefined
  // After it was drawn: for the bench
  useEffect(() => void (isLive && performance.mark('skein-live')), [isLive])
  const needs = countNeeds(page)
  useNotices(page)
  useEffect(() => void (document.title = needs > 0 ? `(${needs}) Skein` : 'Skein'), [needs])
  if (page.connection === 'no-session') return <NoSession refusal={page.refusal} />
  const [title, View] = views[name] ?? ['Devices', Devices]
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => (event.preventDefault(), document.querySelector<HTMLElement>('main')?.focus())}
      >
        To the content
      </a>
      <header>
        <div class="brand">
          <span class="logo" aria-hidden="true">
            ≋
          </span>
          <strong>Skein</strong>
          {page.status !== undefined && <Said text={page.status.name} />}
        </div>
        <LiveMark connection={page.connection} />
      </header>
      <nav aria-label="Views">
        {Object.entries(views).map(([key, [label]]) => (
          <a key={key} href={`#${key}`} aria-current={key === name ? 'page' : undefined}>
            {label}
            {key === 'activity' && needs > 0 && (
              <span class="count" aria-label={`${needs} need you`}>
                {needs}
              </span>
            )}
          </a>
        ))}
      </nav>
      <main tabIndex={-1} aria-label={title}>
        <h1>{title}</h1>
        {page.status === undefined ? <p class="quiet">Asking the peer …</p> : <View page={page} />}
      </main>
      <footer>
        {page.status !== undefined && <span class="quiet">skein {page.status.version}</span>}
        <button type="button" class="plain" onClick={() => void endSession()}>
          Leave this session
        </button>
      </footer>
    </>
  )
}

const words: Readonly<Record<Connection, string>> = {
  opening: '◐ opening',
  live: '● live',
  away: '▲ the peer is away; trying again',
  'no-session': '',
}

const LiveMark = ({ connection }: { readonly connection: Connection }): JSX.Element => (
  <span class={`live ${connection}`} role="status">
    {words[connection]}
  </span>
)

const NoSession = ({ refusal }: { readonly refusal: string | undefined }): JSX.Element => (
  <main class="gate">
    <h1>Skein</h1>
    {refusal !== undefined && <p role="alert">▲ {refusal}.</p>}
    <p>This tab has no session. In a terminal on this device, run</p>
    <Cli line="skein console" />
    <p class="quiet">
      It opens this page with a link that is good once and for a minute. Sessions end with{' '}
      <code>skein down</code>, and each tab has its own.
    </p>
  </main>
)

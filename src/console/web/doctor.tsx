/** Doctor: everything that was looked at, each fault with its cause and the one fix. */
import type { JSX } from 'preact'
import type { DoctorCheck } from '../../peer/api.ts'
import { Badge, Card, Cli, Fault, Said, useLoad } from './parts.tsx'
import { get } from './session.ts'

export function Doctor(): JSX.Element {
  const { value, error, reload } = useLoad(() => get<readonly DoctorCheck[]>('/doctor'), '')
  const bad = value?.filter((check) => !check.ok) ?? []
  return (
    <Card
      title={
        value === undefined ? 'Looking …' : bad.length === 0 ? '● All is well' : `▲ ${bad.length} to mend`
      }
    >
      <div class="row">
        <button type="button" onClick={reload}>
          Look again
        </button>
        <Cli line="skein doctor" />
      </div>
      <Fault error={error} />
      <ul class="list">
        {[...bad, ...(value?.filter((check) => check.ok) ?? [])].map((check) => (
          <li key={check.name} class="item">
            <Badge mood={check.ok ? 'good' : 'bad'} word={check.ok ? 'fine' : 'wrong'} />{' '}
            <Said text={check.name} />
            {check.cause !== undefined && (
              <p>
                <strong>Cause:</strong> <Said text={check.cause} />
              </p>
            )}
            {check.fix !== undefined && (
              <p>
                <strong>Fix:</strong> <Said text={check.fix} />
              </p>
            )}
          </li>
        ))}
      </ul>
    </Card>
  )
}

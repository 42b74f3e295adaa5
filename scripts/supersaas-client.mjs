// Makes every call of SuperSaaS' official Node client against its sandbox, and
// reads back what was written. It ends with 1 if a call is refused or answers
// something else.
//
//     hikyaku sandbox supersaas --json >SANDBOX &
//     NODE_PATH=DIR/node_modules node scripts/supersaas-client.mjs SANDBOX
//
// DIR is where 'npm install --prefix DIR supersaas-api-client' put the client,
// which sends one request a second.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { Client } = createRequire(import.meta.url)('supersaas-api-client');

const ROOMS = 555001, CLASSES = 555002, SERVICES = 555003; // schedules by resource, capacity and service
const FROM = '2025-01-01 00:00:00', UNTIL = '2031-01-01 00:00:00';

const service = JSON.parse(readFileSync(process.argv[2], 'utf8')).services[0];
const client = new Client({ accountName: service.connection.account, api_key: service.connection.api_key, host: service.url });
const failures = [];
let calls = 0;

// call makes a call and checks its answer, which it returns.
async function call(name, run, check = () => true) {
  calls++;
  try {
    const answer = await run();
    if (!check(answer)) failures.push(`${name}: unexpected answer ${JSON.stringify(answer)}`);
    return answer;
  } catch (e) {
    failures.push(`${name}: ${JSON.stringify(e) === '{}' ? e : JSON.stringify(e)}`);
    return undefined;
  }
}

const newID = (location) => Number(String(location).replace(/^.*\//, '').replace(/\.json$/, ''));
const rows = (answer) => Array.isArray(answer) && answer.length > 0;
const only = (id) => (answer) => answer.length === 1 && answer[0].id === id;

async function usersAndAccount() {
  const { users, schedules } = client;
  await call('users.list', () => users.list(true, 3, 1), (a) => a.length === 3);
  const user = newID(await call('users.create', () => users.create({ name: 'client@mail.example', full_name: '見本' }, '77fk', true, 'raise')));
  await call('users.get', () => users.get(user, true), (a) => a.fullName === '見本' || a.full_name === '見本');
  await call('users.update', () => users.update(user, { full_name: '見本 二' }, true, 'error'));
  await call('users.get', () => users.get(user), (a) => a.fullName === '見本 二' || a.full_name === '見本 二');
  await call('users.fieldList', () => users.fieldList(), rows);
  await call('schedules.list', () => schedules.list(), (a) => a.map((s) => s.id).join() === [ROOMS, CLASSES, SERVICES].join());
  await call('schedules.resources', () => schedules.resources(ROOMS), rows);
  await call('schedules.fieldList', () => schedules.fieldList(ROOMS), rows);
  await call('groups.list', () => client.groups.list());
  return user;
}

async function bookings(user) {
  const api = client.appointments;
  const one = newID(await call('appointments.create', () => api.create(
    ROOMS, user, { start: '2030-01-07 09:00:00', finish: '2030-01-07 10:00:00', field_1_r: '窓側' }, true, true)));
  await call('appointments.get', () => api.get(ROOMS, one), (a) => a.id === one && a.start === '2030-01-07T09:00');
  await call('appointments.update', () => api.update(ROOMS, one, { start: '2030-01-07 11:00:00', finish: '2030-01-07 12:00:00' }));
  await call('appointments.get', () => api.get(ROOMS, one), (a) => a.start === '2030-01-07T11:00');
  await call('appointments.list', () => api.list(ROOMS, true, '2030-01-01 00:00:00', 3, UNTIL), only(one));
  await call('appointments.agenda', () => api.agenda(ROOMS, user, FROM));
  await call('appointments.agenda of slots', () => api.agenda(CLASSES, user, FROM, true));
  await call('appointments.available', () => api.available(ROOMS, '2030-01-07 09:00:00', 60, '個室A', true, 5), (a) => a.length === 5);
  await call('appointments.changes', () => api.changes(ROOMS, FROM, UNTIL, false, user, 5), only(one));
  await call('appointments.changes of slots', () => api.changes(CLASSES, FROM, null, true, null, 2), (a) => a.length === 2);
  await call('appointments.range', () => api.range(ROOMS, false, FROM, UNTIL, false, user), only(one));
  await call('appointments.range of today', () => api.range(ROOMS, true), (a) => a.length === 0);
  await call('appointments.range of slots', () => api.range(CLASSES, false, null, null, true, null, null, null, 2), (a) => a.length === 2);
  await call('appointments.range of a service', () => api.range(SERVICES, false, null, null, false, null, null, 556001, 2), (a) => a.length === 2);
  await call('appointments.delete', () => api.delete(ROOMS, one, true));
  await call('appointments.list', () => api.list(ROOMS, null, '2030-01-01 00:00:00'), (a) => a.length === 0);
}

async function formsAndPromotions() {
  const forms = await call('forms.list', () => client.forms.list(660001, FROM, null, 3, 1), (a) => a.length === 3);
  await call('forms.get', () => client.forms.get(forms[0].id), (a) => a.id === forms[0].id);
  await call('forms.forms', () => client.forms.forms(), rows);
  await call('promotions.list', () => client.promotions.list(5, 0), rows);
  await call('promotions.duplicatePromotionCode', () => client.promotions.duplicatePromotionCode('NEW2', 'WELCOME10'));
  await call('promotions.promotion', () => client.promotions.promotion('NEW2'), (a) => a[0].code === 'NEW2');
}

const user = await usersAndAccount();
await bookings(user);
await formsAndPromotions();
await call('users.delete', () => client.users.delete(user, true));
for (const failure of failures) console.error('supersaas-client:', failure);
console.log(`supersaas-client of Node: ${calls - failures.length} of ${calls} calls`);
process.exitCode = failures.length > 0 ? 1 : 0;

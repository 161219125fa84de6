"""Every bound of the system, unit last, with asserts that relate the bounds to each other.

A bound that an operator may change is only a default here; `couponry.settings` names it.
"""

from decimal import Decimal
from typing import Final

# The wire (contract README, sections 7 and 9).
REQUEST_BODY_BYTES_MAX: Final = 1024 * 1024
REQUEST_READ_MS_MAX: Final = 10_000
CODE_CHARS_MAX: Final = 40
REDEEM_ITEMS_MAX: Final = 100
ISSUE_SERIES_MAX: Final = 100
ISSUE_COUNT_MAX: Final = 500
ISSUE_DETAIL_CHARS_MAX: Final = 50
ISSUE_NOTE_CHARS_MAX: Final = 1000
REVERSE_IDS_MAX: Final = 100
REVOKE_CODES_MAX: Final = 50
REVOKE_COUPONS_MAX: Final = 100
REDATE_CODES_MAX: Final = 100
AMEND_ITEMS_MAX: Final = 100
EXCLUSION_DAYS: Final = 183
CODE_TRIES_MAX: Final = 20
CODES_AHEAD_MAX: Final = 4_096
CODE_STOCKS_MAX: Final = 1_000
READ_KEYS_MAX: Final = 100
IDEMPOTENCY_KEY_CHARS_MAX: Final = 64
XML_DEPTH_MAX: Final = 16
XML_ELEMENTS_MAX: Final = 25_000
REQUEST_ID_CHARS_MAX: Final = 64
CREDENTIAL_CHARS_MAX: Final = 4096
TRANSACTION_NUMBER_CHARS_MAX: Final = 255
IDENTIFIER_CHARS_MAX: Final = 255
NAME_CHARS_MAX: Final = 255
STATUS_REASON_CHARS_MAX: Final = 1000
TRANSACTION_REDEMPTIONS_MAX: Final = 100
VALIDATION_TRIES_MAX: Final = 5
VALIDATION_CODES_A_DAY_MAX: Final = 10
VALIDATION_CODE_DIGITS: Final = 6
VALIDATION_CHANNELS_MAX: Final = 5
VALIDATION_TEMPLATE_CHARS_MAX: Final = 2000
CUSTOM_FIELDS_MAX: Final = 50
CUSTOM_FIELD_CHARS_MAX: Final = 1000
CUSTOM_PROPERTIES_MAX: Final = 20
STANDARD_TERMS_CHARS_MAX: Final = 500
SERIES_TEXT_CHARS_MAX: Final = 2_000
SERIES_TEMPLATE_CHARS_MAX: Final = 10_000
SERIES_LIST_MAX: Final = 1_000
SERIES_EXCLUSIONS_MAX: Final = 100
# All of a series' terms as JSON: reads print them once for each series on a page, some for each coupon.
TERMS_BYTES_MAX: Final = 64 * 1024
COUNT_MAX: Final = 2**31 - 1
EXPIRY_DAYS_MAX: Final = 36_500
EXPIRY_MONTHS_MAX: Final = 1_200

# Money: three decimals hold every currency; the scaled integer fits 64 bits.
MONEY_SCALE: Final = 1000
MONEY_MAX: Final = Decimal(9007199254740991)

# The ledger. A batch is one org's commands in one transaction.
BATCH_COMMANDS_MAX: Final = 256
BATCH_ITEMS_MAX: Final = 2000
QUEUE_COMMANDS_MAX: Final = 10_000
WRITE_TRIES_MAX: Final = 3

# Waiting. A command gives up (748) only after every lock it can meet has timed out (521, 787).
LOCK_WAIT_HASTY_MS_MAX: Final = 20
LOCK_WAIT_IN_BATCH_MS_MAX: Final = 250
LOCK_WAIT_MS_MAX: Final = 5_000
SQLITE_POLL_MS: Final = 3
STATEMENT_MS_MAX: Final = 6_000
PLAN_KEPT_MS_MAX: Final = 2_000
REQUEST_BUDGET_MS_MAX: Final = 10_000
DRAIN_MS_MAX: Final = 15_000
DRAIN_NOTICE_MS: Final = 500
CONNECT_MS_MAX: Final = 2_000
RECONNECT_PAUSE_MS: Final = 100
MIGRATION_LOCK_WAIT_MS_MAX: Final = 120_000

# Time.
MINUTE_MS: Final = 60 * 1000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
REDEMPTION_AHEAD_MS_MAX: Final = 24 * HOUR_MS
# 1990: before it lie the redemptions whose seconds somebody took for milliseconds.
REDEEMED_ELSEWHERE_MS_MIN: Final = 631_152_000_000
ANSWER_KEPT_MS_MAX: Final = 24 * HOUR_MS
# The wall clocks of the first epoch day begin in 1969; 9999-12-31 is what people write for never.
TERMS_YEAR_MIN: Final = 1969
TERMS_YEAR_MAX: Final = 9999
DERIVED_IDEMPOTENCY_HOURS_MAX: Final = 24 * 30

# Ids fit a JavaScript number: 1 bit kind, 20 bits org, 32 bits serial.
SERIAL_BITS: Final = 32
ORG_BITS: Final = 20
SERIAL_BLOCK: Final = 8192

# Imports. A chunk is one transaction: short enough that a server's writers need not notice.
IMPORT_CHUNK_ROWS: Final = 2_000

# Jobs. A step is what a worker records between two looks at the queue; a chunk is one transaction of it. While others write, a
# chunk may take so long, and then so many times as long belongs to them. The chunks of
# the jobs that a worker has begun take turns.
STEP_MS_MAX: Final = 5_000
STEP_TRIES_MAX: Final = 10
CHUNK_ROWS_MAX: Final = 10_000
CHUNK_ROWS_MIN: Final = 100
CHUNK_BUSY_MS: Final = 5
CHUNK_REST_FACTOR: Final = 4
QUIET_CHUNKS: Final = 5
JOBS_AT_ONCE: Final = 2
JOBS_BEGUN_MAX: Final = 16
EVENT_COUPONS_MAX: Final = 500
CODE_BLOCK: Final = 500_000
AUDIENCE_COUNTED_AT_ONCE: Final = 50_000
# Where few rows are wanted, an export looks at so many for each that a chunk may have. A row group of a Parquet file is held in
# memory as it is written, and so are the terms of series that are read at once.
EXPORT_KEYS_PER_ROW: Final = 5
EXPORT_GROUP_ROWS: Final = 50_000
SERIES_READ_AT_ONCE_MAX: Final = 500
WORKERS_LOOKED_FOR_MS: Final = 5_000
JOBS_LISTED_MAX: Final = 200
COLUMNS_MAX: Final = 1_000
SEGMENT_ENTRIES_MAX: Final = 1_000
ISSUED_CODES_MAX: Final = 50_000_000

# Uploads. A file comes in blocks of so many bytes, among few parts; what stands beside it in the form is small.
UPLOAD_BYTES_MAX: Final = 50 * 1024 * 1024
UPLOAD_BLOCK_BYTES: Final = 64 * 1024
UPLOAD_READ_MS_MAX: Final = 10 * MINUTE_MS
UPLOAD_PARTS_MAX: Final = 16
UPLOAD_PART_HEADERS_BYTES_MAX: Final = 32 * 1024
UPLOAD_FIELD_BYTES_MAX: Final = 16 * 1024
UPLOAD_HEAD_BYTES_MAX: Final = 1024 * 1024
UPLOAD_STEM_CHARS_MAX: Final = 100

# Housekeeping. A range is one short statement, of fewer rows where each stands in many indexes; one table's ranges are looked
# at for so long each time.
FILES_KEPT_DAYS: Final = 30
VALIDATION_KEPT_MS: Final = 7 * DAY_MS
PURGE_RANGE_ROWS: Final = 2_000
PURGE_DELIVERIES: Final = 250
PURGE_MS_MAX: Final = 5 * MINUTE_MS
WORKFLOWS_FORGOTTEN_AT_ONCE: Final = 500

# Work beside the ledger.
BACK_OFFICE_THREADS: Final = 4
MERGE_MS_MAX: Final = 5_000
MERGE_PAUSE_MS: Final = 20
PAGE_ITEMS_MAX: Final = 500
SERIES_OFFSET_MAX: Final = 1_000_000
CAMPAIGN_SERIES_MAX: Final = 1_000
PAGE_ITEMS: Final = 100
# A list without pages may print the terms with each coupon: usually 4 KB, and never more than the assert below says.
COUPONS_LISTED_MAX: Final = 1_000
LIST_BYTES_MAX: Final = 64 * 1024 * 1024
REDEMPTIONS_LISTED_MAX: Final = 100
REDEMPTIONS_SHOWN: Final = 10

# Looking back. A page of refusals looks through so many; a what-if replays so many redemptions, a chunk at a time.
REFUSALS_WALKED_MAX: Final = 5_000
WHAT_IF_DAYS_MAX: Final = 366
REPLAYED_REDEMPTIONS_MAX: Final = 100_000
REPLAY_CHUNK_ROWS: Final = 2_000
WHAT_IF_EXAMPLES_MAX: Final = 5

# Hooks. One ask, with all its tries, fits a till's patience; a target that keeps failing is left alone for a while.
HOOK_MS_MAX: Final = 3_000
HOOK_TRIES_MAX: Final = 2
HOOK_PAUSE_MS_MAX: Final = 200
HOOK_CONNECT_MS_MAX: Final = 1_000
HOOK_CONNECTIONS_MAX: Final = 512
HOOK_CONNECTIONS_PER_TARGET_MAX: Final = 16
HOOK_WAITERS_PER_TARGET_MAX: Final = 256
HOOK_ADDRESSES_TRIED_MAX: Final = 3
HOOK_ANSWER_BYTES_MAX: Final = 64 * 1024
HOOK_FAILURES_MAX: Final = 5
HOOK_OPEN_MS: Final = 10_000
HOOK_TARGETS_MAX: Final = 1_000
HOOK_RESOLVER_THREADS: Final = 4
GATEWAY_KNOWN_MS: Final = 1_000
GATEWAY_WAIT_MS_MAX: Final = 200
SIDE_EFFECTS_MAX: Final = 50
SIDE_EFFECT_CHARS_MAX: Final = 255

# Webhooks. Of two secrets in a row, the first counts so long after the second was made.
WEBHOOKS_MAX: Final = 100
WEBHOOK_NAME_CHARS_MAX: Final = 255
WEBHOOK_URL_CHARS_MAX: Final = 2_000
WEBHOOK_HEADERS_MAX: Final = 20
WEBHOOK_HEADER_CHARS_MAX: Final = 4_000
WEBHOOK_CONNECTIONS: Final = 10
WEBHOOK_CONNECTIONS_MAX: Final = 100
WEBHOOK_SLA_S: Final = 30
WEBHOOK_SLA_S_MAX: Final = 7 * 24 * 3600
SECRET_KEPT_MS: Final = 24 * HOUR_MS

# Deliveries. So many causes are told at once, about so many coupons, in so much text: what is said of an event and of each of its
# coupons is guessed. What the side-effects hook has not been told for so long is
# the worker's to tell. A log is kept for a month, a dead letter for three, and so is what it was made of.
CAUSES_AT_ONCE: Final = 500
CAUSES_AT_ONCE_MIN: Final = 10
COUPONS_TOLD_AT_ONCE: Final = 5_000
TOLD_CHARS_AT_ONCE: Final = 4_000_000
EVENT_TOLD_CHARS: Final = 1_000
COUPON_TOLD_CHARS: Final = 130
CHUNKS_MS_MAX: Final = 5_000
CURSOR_MAX: Final = 10**18 - 1
INSTANT_MS_MAX: Final = 253_370_764_800_000
MAILBOX_PAGE_MESSAGES: Final = 50
EVENTS_WALKED_MAX: Final = 1_000
EVENT_STREAMS_MAX: Final = 64
EVENT_STREAMS_PER_ORG_MAX: Final = 8
EVENT_STREAM_POLL_MS: Final = 500
EVENT_STREAM_SILENCE_MS: Final = 10_000
EVENT_STREAM_MS_MAX: Final = 15 * MINUTE_MS
SIDE_EFFECTS_LEFT_MS: Final = 30_000
DELIVERY_KEPT_MS: Final = 30 * 24 * HOUR_MS
DEAD_LETTER_KEPT_MS: Final = 90 * DAY_MS
DELIVERY_CHUNK_ROWS: Final = 1_000
DELIVERY_WALKED_MAX: Final = 5_000
DELIVERIES_LISTED_MAX: Final = 1_000
DELIVERIES_COUNTED_MAX: Final = 10_000
PROBLEM_CHARS_MAX: Final = 500

# Reminders. A walk over a series' coupons begins when all that was issued before its time is committed; a look takes some steps.
# It may go on until the next day's begins. Which reminders were sent is known for longer than the longest notice.
EXPIRY_REMINDERS_MAX: Final = 10
REMINDER_DAYS_MAX: Final = 366
REMINDERS_LOOKED_FOR_MS: Final = 15_000
REMINDERS_SETTLED_MS: Final = 15_000
REMINDER_OPEN_MS: Final = DAY_MS
REMINDER_KEPT_MS: Final = 400 * DAY_MS
REMINDER_CHUNK_ROWS: Final = 2_000
REMINDER_CHUNKS_AT_ONCE: Final = 20
SERIES_LOOKED_AT_ONCE: Final = 500

# Attempts. One takes so long at most, and is tried again after ever longer pauses, a few per cent more or less. A target that
# failed so many times in a row is tried with one delivery at a time.
WEBHOOK_MS_MAX: Final = 10_000
WEBHOOK_KEPT_MS: Final = 7 * 24 * HOUR_MS
WEBHOOK_ANSWER_BYTES_MAX: Final = 64 * 1024
AGAIN_MS_MIN: Final = 5_000
AGAIN_MS_MAX: Final = HOUR_MS
AGAIN_SPREAD: Final = 0.2
RETRY_AFTER_MS_MAX: Final = HOUR_MS
FAILURES_BEFORE_PROBE: Final = 5
PROBE_MS_MAX: Final = MINUTE_MS
# A lane has so many deliveries in hand, or so much text, of one customer only some, of repeats a part, and records what came of
# them so often. Orgs are looked at ever more rarely while nothing happens, the more of them the more rarely.
LANE_HAND_MAX: Final = 1_000
LANE_CHARS_MAX: Final = 1_000_000
LANE_REPEATS_PART: Final = 4
LANE_CHAIN_MAX: Final = 50
LANE_RECORD_MS: Final = 50
ORG_LOOK_MS_MIN: Final = 100
ORG_LOOK_MS_MAX: Final = 5_000
ORG_LOOK_MS_EACH: Final = 5
ORGS_LISTED_MS: Final = 5_000
DELIVERER_AGAIN_MS: Final = 5_000
DELIVERY_STORE_THREADS: Final = 3
DELIVERY_RESOLVER_THREADS: Final = 8
DELIVERY_STOP_MS_MAX: Final = 10_000
# A lane of messages sends so many at a time, all such lanes together so many by Apprise. A gateway may take so long until it has
# a message, and then so long until it says what became of it: who does not wait for that sends the message twice.
MESSAGE_KEPT_MS: Final = 24 * HOUR_MS
MESSAGE_TAKEN_MS_MAX: Final = 60_000
MESSAGE_WORD_MS_MAX: Final = 5 * MINUTE_MS
MESSAGE_HTTP_MS_MAX: Final = MINUTE_MS
MESSAGE_THREADS_PER_LANE: Final = 8
MESSAGE_THREADS_MAX: Final = 256

# Messages. A template may name a tag many times over, and each stands for a long name.
MESSAGE_CHARS_MAX: Final = 20_000
SMS_CHARS_BEFORE_SHORT: Final = 160
CONTACTS_MAX: Final = 20
EMAIL_IMAGES_MAX: Final = 5
QR_CACHE_MAX: Final = 1_000
EMAIL_SUBJECT_CHARS_MAX: Final = 200

# The console. Who does nothing for so long is signed out, and everybody is after a day.
SESSION_IDLE_MS_MAX: Final = 2 * HOUR_MS
SESSION_MS_MAX: Final = 24 * HOUR_MS
SESSION_SEEN_MS: Final = 5 * MINUTE_MS
SESSIONS_MAX: Final = 20
# Signing in. So many codes of a second factor are tried in a window, so many failures of a person recorded in one; whoever was
# given a password by another has to choose their own, and nobody a short one.
PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 1_024
SECOND_FACTOR_TRIES_MAX: Final = 10
SECOND_FACTOR_WINDOW_MS: Final = 15 * MINUTE_MS
SECOND_FACTOR_SLIP_MS: Final = 5 * MINUTE_MS
RECOVERY_CODES: Final = 10
FAILED_SIGN_INS_NOTED_MAX: Final = 20
SIGN_IN_NOTES_AT_ONCE_MAX: Final = 100
BROWSER_CHARS_MAX: Final = 200
# A page of the audit log looks through so many entries, a file of it holds so many.
AUDIT_WALKED_MAX: Final = 2_000
AUDIT_FILE_ROWS_MAX: Final = 5_000
FORM_BYTES_MAX: Final = 1024 * 1024
FORM_FIELDS_MAX: Final = 2_000
CONSOLE_PAGE_ROWS: Final = 50
STORE_TILLS_LISTED_MAX: Final = 500
NOTICE_CHARS_MAX: Final = 500
# Audiences are counted as a whole up to so many ids, else in so many windows of so many ids each; of a file so many rows are
# looked up.
AUDIENCE_COUNTED_MAX: Final = 20_000
AUDIENCE_WINDOWS: Final = 20
AUDIENCE_WINDOW_IDS: Final = 1_000
AUDIENCE_ROWS_LOOKED_UP: Final = 1_000
# Campaigns. What one page of a campaign, of the calendar and of a series' history shows.
CAMPAIGN_JOBS_SHOWN: Final = 10
CAMPAIGN_SERIES_SHOWN: Final = 50
CALENDAR_CAMPAIGNS_MAX: Final = 100
VERSIONS_SHOWN: Final = 20
PLACES_TYPED_MAX: Final = 500
TEST_MESSAGES_A_DAY_MAX: Final = 100
# Scheduled launches are looked for so often; one that starts so much after its time says so.
LAUNCHES_LOOKED_FOR_MS: Final = 5_000
LAUNCHES_AT_ONCE: Final = 20
LAUNCH_LATE_MS: Final = MINUTE_MS
# Who asked for a second person's approval has to ask again after so long.
APPROVAL_PENDING_MS_MAX: Final = 7 * DAY_MS
APPROVAL_NOTE_CHARS_MAX: Final = 1_000
GOODWILL_A_DAY_MAX: Final = 10_000
# Member Care. A person looks up so much, which is more than a call takes; identifiers that somebody asked to see stay shown for a
# while. A page of a customer's coupons looks through so many, the choice of a goodwill coupon through so many series.
LOOKUPS_A_MINUTE_MAX: Final = 60
LOOKUPS_A_DAY_MAX: Final = 3_000
IDENTIFIERS_SHOWN_MS: Final = 10 * MINUTE_MS
COUPONS_WALKED_MAX: Final = 500
GOODWILL_SERIES_WALKED_MAX: Final = 1_000
HITS_MAX: Final = 20
TILLS_FOUND_MAX: Final = 20
REASON_CHARS_MAX: Final = 500

# Series pages. A search looks through so many series and a filtered list through so many coupons or redemptions before it says
# from where to go on; how far messages came is seen from so many coupons, what a bulk change touches is counted up to so many.
SERIES_WALKED_MAX: Final = 1_000
ROWS_WALKED_MAX: Final = 2_000
# Figures: a period has so many days at most, a table of series or stores so many lines, a file so many rows.
FIGURE_DAYS_MAX: Final = 366
FIGURE_LINES_MAX: Final = 50
FIGURE_FILE_ROWS_MAX: Final = 50_000
FIGURE_FILE_CHUNK_ROWS: Final = 1_000
FIGURE_FILE_CHUNKS_MAX: Final = 1_000
REACH_COUPONS_MAX: Final = 1_000
TOUCHED_COUPONS_MAX: Final = 10_000
DRY_RUN_ROWS_MAX: Final = 10_000
DRY_RUN_EXAMPLES_MAX: Final = 20
WHAT_IF_PAGE_REDEMPTIONS_MAX: Final = 20_000
STORES_CHOSEN_MAX: Final = 500

# The doctor.
DOCTOR_RANGE_IDS: Final = 50_000
DOCTOR_DIFFERENCES_MAX: Final = 1_000

# The interpreter: how long a thread keeps it from another that wants it, and how many allocations bring the garbage collector.
SWITCH_INTERVAL_S: Final = 0.0005
GC_ALLOCATIONS: Final = 20_000

# Caches, in entries.
SERIES_CACHE_MAX: Final = 100_000
PRINCIPAL_CACHE_MAX: Final = 10_000
THROTTLE_CACHE_MAX: Final = 10_000

# Who is asking. A change of a credential is noticed within the fresh time; the stale time bridges a database that is down.
PRINCIPAL_FRESH_MS: Final = 30_000
PRINCIPAL_STALE_MS: Final = 15 * 60_000
REFUSAL_FRESH_MS: Final = 5_000
PASSWORD_THREADS: Final = 2
PASSWORD_CHECKS_MAX: Final = 64
PASSWORD_WAITERS_MAX: Final = 1_000
FAILURES_FREE_MAX: Final = 3
FAILURE_WAIT_MS_MAX: Final = 5_000
FAILURE_FORGOTTEN_MS: Final = 15 * 60_000
TOKEN_S_MAX: Final = 30 * 24 * 3600

assert max(REDEEM_ITEMS_MAX, ISSUE_SERIES_MAX, ISSUE_COUNT_MAX, REVOKE_COUPONS_MAX) <= BATCH_ITEMS_MAX, (
    "one request must fit one batch"
)
assert 2 * (BATCH_COMMANDS_MAX + BATCH_ITEMS_MAX) <= SERIAL_BLOCK, "one block of ids must serve a whole batch"
assert BATCH_COMMANDS_MAX <= QUEUE_COMMANDS_MAX, "a full batch must fit the queue"
assert DRAIN_NOTICE_MS + REQUEST_READ_MS_MAX < DRAIN_MS_MAX, "a slow sender must not hold up a drain"
assert LOCK_WAIT_HASTY_MS_MAX * BATCH_COMMANDS_MAX.bit_length() <= LOCK_WAIT_IN_BATCH_MS_MAX, (
    "halving costs no more than the wait"
)
assert LOCK_WAIT_IN_BATCH_MS_MAX < LOCK_WAIT_MS_MAX < STATEMENT_MS_MAX < REQUEST_BUDGET_MS_MAX < DRAIN_MS_MAX
assert max(EVENT_COUPONS_MAX, ISSUE_COUNT_MAX) <= COUPONS_TOLD_AT_ONCE, "any one cause must be told"
assert 2 * REDEEM_ITEMS_MAX < CAUSES_AT_ONCE, "the redemptions of one request must be told together"
assert HOOK_TRIES_MAX * HOOK_CONNECT_MS_MAX + HOOK_PAUSE_MS_MAX < HOOK_MS_MAX < REQUEST_BUDGET_MS_MAX
assert REQUEST_BUDGET_MS_MAX < REMINDERS_SETTLED_MS, "an issue under way is committed before reminders are sent"
assert REMINDER_DAYS_MAX * DAY_MS < REMINDER_KEPT_MS, "a reminder must not be forgotten while its coupon lives on"
assert REFUSAL_FRESH_MS <= PRINCIPAL_FRESH_MS < PRINCIPAL_STALE_MS
assert max(COUPONS_LISTED_MAX, PAGE_ITEMS_MAX) * TERMS_BYTES_MAX <= LIST_BYTES_MAX, "terms must not make an answer of any size"
assert 1 + ORG_BITS + SERIAL_BITS <= 53, "an id must survive a JavaScript client"
assert int(MONEY_MAX) * MONEY_SCALE < 2**63, "money must fit a 64-bit column"

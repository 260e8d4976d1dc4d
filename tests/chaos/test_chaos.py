"""``make chaos``: hundreds of kills; here a sample of them. The seed that is printed makes the same kills again."""

import os
import secrets

import pytest
from campaign import Campaign

SAMPLE = 25
KILLS = int(os.environ.get("SLUICE_CHAOS_KILLS", SAMPLE))
# A test that everybody runs must do the same for everybody; the full campaign goes where nobody was yet.
SEED = int(os.environ.get("SLUICE_CHAOS_SEED") or (20130208 if KILLS == SAMPLE else secrets.randbelow(10**6)))


@pytest.mark.timeout(max(600, 30 * KILLS))
def test_every_partition_is_wholly_old_or_new_after_every_kill(tmp_path) -> None:
    campaign = Campaign(SEED, KILLS, tmp_path)
    try:
        campaign.run()
    finally:
        print(f"\n{campaign.summary() if campaign.tally else f'seed {SEED}'}")
    assert campaign.done >= KILLS

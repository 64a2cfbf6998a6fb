from test_chain import *
import logging
def test_dbg(connected, monkeypatch):
    pair = connected()
    for number in range(1, 301):
        buy(pair.shop, number, f"p{number}@poczta.example")
    pair.crm.simulator.poison.add("p150@poczta.example")
    pair.run_sync("woocommerce")
    pair.publish()
    pair.evaluate()
    true = delivery._settle_results
    def note(session, context, parcel, owner, items, results, now):
        w = true(session, context, parcel, owner, items, results, now)
        print(parcel.effect, len(items), Counter((r.outcome, r.reason[:50]) for r in results), w, pair.crm.state()["by_path"].get(UPSERT))
        return w
    true_f = delivery._settle_failure
    def fail(context, parcel, owner, row, items, error):
        print("FAIL", parcel.effect, len(items), repr(error), getattr(error,'after',None), pair.crm.state()["by_path"].get(UPSERT))
        return true_f(context, parcel, owner, row, items, error)
    monkeypatch.setattr(delivery, "_settle_results", note)
    monkeypatch.setattr(delivery, "_settle_failure", fail)
    for i in range(25):
        for parcel in parcels(pair):
            if parcel.effect == "push_contact":
                delivery.deliver(pair.context, parcel, "test", never)
        import time; time.sleep(0.1)

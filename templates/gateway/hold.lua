-- Keep requests waiting while no server of their backend may take them: it restarts, is drained, or is down.
-- txn.held: milliseconds that were waited; "full": as many wait as may; "late": it did not come back in time.
local LOOK = 100 -- milliseconds between two looks
local seconds, most = tonumber(os.getenv("HOLD_SECONDS")), tonumber(os.getenv("HOLD_REQUESTS"))
local waiting = {} -- backend -> request -> when it was last seen to wait

local function clock()
    local now = core.now()
    return now.sec + now.usec / 1000000
end

-- A client that left takes its coroutine with it, and nobody signs it off: who was not seen for a second is gone.
local function count(places, now)
    local number = 0
    for place, seen in pairs(places) do
        if now - seen > 1 then places[place] = nil else number = number + 1 end
    end
    return number
end

local function wait(txn, backend)
    local places, place, began = waiting[backend] or {}, {}, clock()
    waiting[backend] = places
    if count(places, began) >= most then return "full" end
    local now = began
    repeat
        places[place] = now
        core.msleep(LOOK)
        now = clock()
        if txn.f:nbsrv(backend) > 0 then
            places[place] = nil
            return string.format("%.0f", (now - began) * 1000)
        end
    until now - began >= seconds
    places[place] = nil
    return "late"
end

core.register_action("hold", {"http-req"}, function(txn, backend)
    if txn.f:nbsrv(backend) == 0 then txn:set_var("txn.held", wait(txn, backend)) end
end, 1)

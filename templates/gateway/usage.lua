-- The books: a line of JSON for each request of a key, in a file a day, and what each key used today. No word of a request is in it.
-- What a server counted is the last "usage" of its reply; inside a string its quotes would be escaped, so no text of a model looks like one.
local MARK, LONGEST, HEAD = '"usage":{', 1024, 2048 -- bytes kept behind the mark, and of the beginning
local directory = os.getenv("USAGE_DIRECTORY")
local today, used = "", {} -- the day, and key -> tokens
local KEPT = 31 -- days of files; the job has added them up long before

local function number(text, name)
    return math.tointeger(tonumber(string.match(text, '"' .. name .. '":(%d+)') or 0)) or 0
end

local function quoted(text)
    return '"' .. string.gsub(text or "", '[%c"\\\127-\255]', function(char) return string.format("\\u%04x", string.byte(char)) end) .. '"'
end

local function path(day) return directory .. "/" .. day .. ".jsonl" end

-- Another process of the gateway may have written there: before a reload, or before a restart.
local function read(day)
    local sums, file = {}, io.open(path(day))
    for line in file and file:lines() or function() end do
        local key = string.match(line, '"key":"([^"]*)"')
        if key then sums[key] = (sums[key] or 0) + number(line, "prompt") + number(line, "completion") end
    end
    if file then file:close() end
    return sums
end

-- Also those of days before, on which no gateway ran.
local function forget()
    for age = KEPT + 1, 2 * KEPT do os.remove(path(os.date("%Y-%m-%d", os.time() - age * 86400))) end
end

local function of_today()
    local day = os.date("%Y-%m-%d")
    if day ~= today then
        today, used = day, read(day)
        forget()
    end
    return used
end

core.register_fetches("tokens_today", function(txn)
    return of_today()[txn:get_var("txn.key")] or 0
end)

local Books = {id = "books", flags = filter.FLT_CFG_FL_HTX}
Books.__index = Books

function Books:new()
    return setmetatable({began = core.now(), bytes = 0, head = "", rest = "", usage = "", answered = false, whole = false}, Books)
end

function Books:start_analyze(txn, channel)
    if channel:is_resp() then
        self.answered = true
        filter.register_data_filter(self, channel)
    end
end

-- The rest is what may be the beginning of a mark, or of the words behind one.
function Books:take(piece)
    self.bytes = self.bytes + #piece
    if #self.head < HEAD then self.head = self.head .. string.sub(piece, 1, HEAD - #self.head) end
    local text, found, at = self.rest .. piece, nil, 0
    repeat
        found, at = at, string.find(text, MARK, at + 1, true)
    until not at
    if found > 0 then
        self.usage = string.sub(text, found, found + LONGEST)
        self.rest = string.sub(text, found, found + LONGEST)
        if #text - found >= LONGEST then self.rest = string.sub(text, -#MARK) end
    else
        self.rest = string.sub(text, -#MARK)
    end
end

function Books:http_payload(txn, message)
    local piece = message:body()
    if piece then self:take(piece) end
end

function Books:http_end(txn, message)
    if message:is_resp() then self.whole = true end
end

function Books:write(txn)
    local key, status = txn:get_var("txn.key"), txn:get_var("txn.status")
    if self.written or not key or not status then return end
    self.written = true
    local now, prompt, completion = core.now(), number(self.usage, "prompt_tokens"), number(self.usage, "completion_tokens")
    if prompt == 0 then prompt = number(self.usage, "input_tokens") end
    if completion == 0 then completion = number(self.usage, "output_tokens") end
    local sums = of_today()
    sums[key] = (sums[key] or 0) + prompt + completion
    local file = io.open(path(today), "a")
    if not file then return core.Alert("the books cannot be written: " .. path(today)) end
    file:setvbuf("full", 4096) -- one write, which no other process's line can cut
    file:write(string.format(
        '{"time":%d,"id":%s,"key":%s,"service":%s,"path":%s,"model":%s,"status":%d,"whole":%s,"ms":%d,"bytes":%d,"prompt":%d,"completion":%d,"reasoning":%d}\n',
        now.sec, quoted(txn:get_var("txn.id")), quoted(key), quoted(txn:get_var("txn.service")), quoted(txn:get_var("txn.path")),
        quoted(string.match(self.head, '"model":"([%w._/:@+-]+)"')), status, tostring(self.whole),
        (now.sec - self.began.sec) * 1000 + (now.usec - self.began.usec) // 1000, self.bytes, prompt, completion, number(self.usage, "reasoning_tokens")))
    file:close()
end

-- A refusal of the gateway itself has no analysis of a response.
function Books:end_analyze(txn, channel)
    if channel:is_resp() or not self.answered then self:write(txn) end
end

core.register_filter("books", Books, function(self) return self end)

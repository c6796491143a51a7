-- Checks of a request that httpd has no directive for. https://httpd.apache.org/docs/2.4/mod/mod_lua.html

-- Removes fields whose name has other characters than letters, digits and hyphens: servers may take it for
-- another name, an underscore for a hyphen. Rejects 32,000 bytes or more of line and fields together, a NUL in
-- the path, an empty path, and an empty Host, which httpd accepts in HTTP/1.0.
function check(r)
    local line = r.the_request
    if line:find("^%S+ [^%s?]*%%00") or line:find("^%S+ %?") or r.headers_in["Host"] == "" then
        return 400
    end
    local length = #line + 4
    for name, value in pairs(r:headers_in_table()) do
        if name:find("[^%w-]") then
            r.headers_in[name] = nil
        end
        -- This value is httpd's own mark, not the client's (see httpd.conf).
        if value ~= "," then
            length = length + #name + #value + 4
        end
    end
    if length >= 32000 then
        return 400
    end
    return apache2.DECLINED
end

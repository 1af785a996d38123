# Completion of imgflow in fish: imgflow completion fish > ~/.config/fish/completions/imgflow.fish
function __imgflow_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c imgflow -f -a "(__imgflow_complete)"
